// SPDX-License-Identifier: MIT

package bos

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// Options are the service's options. Times are in seconds unless they are
// texts such as 4h.
type Options struct {
	BSSReadTimeout             int    `json:"bss_read_timeout"`
	CFSReadTimeout             int    `json:"cfs_read_timeout"`
	CleanupCompletedSessionTTL string `json:"cleanup_completed_session_ttl"`
	ClearStage                 bool   `json:"clear_stage"`
	ComponentActualStateTTL    string `json:"component_actual_state_ttl"`
	DefaultRetryPolicy         int    `json:"default_retry_policy"`
	DiscoveryFrequency         int    `json:"discovery_frequency"`
	HSMReadTimeout             int    `json:"hsm_read_timeout"`
	IMSErrorsFatal             bool   `json:"ims_errors_fatal"`
	IMSImagesMustExist         bool   `json:"ims_images_must_exist"`
	IMSReadTimeout             int    `json:"ims_read_timeout"`
	LoggingLevel               string `json:"logging_level"`
	MaxBootWaitTime            int    `json:"max_boot_wait_time"`
	MaxComponentBatchSize      int    `json:"max_component_batch_size"`
	MaxPowerOffWaitTime        int    `json:"max_power_off_wait_time"`
	MaxPowerOnWaitTime         int    `json:"max_power_on_wait_time"`
	PCSReadTimeout             int    `json:"pcs_read_timeout"`
	PollingFrequency           int    `json:"polling_frequency"`
	RejectNIDs                 bool   `json:"reject_nids"`
	SessionLimitRequired       bool   `json:"session_limit_required"`
}

// DefaultOptions returns the options of a site that never changed any.
func DefaultOptions() Options {
	return Options{
		BSSReadTimeout:             20,
		CFSReadTimeout:             20,
		CleanupCompletedSessionTTL: "7d",
		ComponentActualStateTTL:    "4h",
		DefaultRetryPolicy:         3,
		DiscoveryFrequency:         300,
		HSMReadTimeout:             20,
		IMSReadTimeout:             20,
		LoggingLevel:               "INFO",
		MaxBootWaitTime:            1200,
		MaxComponentBatchSize:      2800,
		MaxPowerOffWaitTime:        300,
		MaxPowerOnWaitTime:         120,
		PCSReadTimeout:             20,
		PollingFrequency:           15,
	}
}

// DecodeOptions reads stored options over the defaults. What is unknown is
// ignored; a component_actual_state_ttl that is no longer legal reads as the
// default.
func DecodeOptions(data []byte) (Options, error) {
	o := DefaultOptions()
	if len(data) == 0 {
		return o, nil
	}
	if err := json.Unmarshal(data, &o); err != nil {
		return DefaultOptions(), fmt.Errorf("read the stored options: %w", err)
	}
	if !legalActualStateTTL(o.ComponentActualStateTTL) {
		o.ComponentActualStateTTL = DefaultOptions().ComponentActualStateTTL
	}
	return o, nil
}

// legalActualStateTTL reports whether a text is a number without leading zeros
// and one of the units h, d and w.
func legalActualStateTTL(ttl string) bool {
	n := len(ttl)
	if n < 2 || n > 8 || ttl[0] == '0' || !strings.ContainsRune("hHdDwW", rune(ttl[n-1])) {
		return false
	}
	return strings.Trim(ttl[:n-1], "0123456789") == ""
}

// Patch applies the members of a JSON object that name options, exactly. The
// others are returned as they are: clients may send options that this service
// does not know; they are echoed once and forgotten.
func (o Options) Patch(body []byte) (Options, map[string]json.RawMessage, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		return o, nil, Errorf(CodeInvalid, "options: not a JSON object")
	}
	known, err := o.members()
	if err != nil {
		return o, nil, err
	}
	unknown := map[string]json.RawMessage{}
	changes := map[string]json.RawMessage{}
	for name, value := range members {
		if _, ok := known[name]; ok {
			changes[name] = value
		} else {
			unknown[name] = value
		}
	}
	data, err := json.Marshal(changes)
	if err == nil {
		err = json.Unmarshal(data, &o)
	}
	if err != nil {
		return o, nil, &Error{Code: CodeInvalid, Message: "options: a value has the wrong type", Err: err}
	}
	return o, unknown, nil
}

// Echo returns the answer to a PATCH: all options, and what was unknown in it.
func (o Options) Echo(unknown map[string]json.RawMessage) (map[string]json.RawMessage, error) {
	out, err := o.members()
	if err != nil {
		return nil, err
	}
	for name, value := range unknown {
		out[name] = value
	}
	return out, nil
}

func (o Options) members() (map[string]json.RawMessage, error) {
	data, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("encode options: %w", err)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return nil, fmt.Errorf("decode options: %w", err)
	}
	return members, nil
}

// LevelCritical is the log level that CRITICAL stands for: above errors.
const LevelCritical = slog.LevelError + 4

// LogLevel returns the level that logging_level names, info if it names none.
func (o Options) LogLevel() slog.Level {
	switch strings.ToUpper(o.LoggingLevel) {
	case "DEBUG":
		return slog.LevelDebug
	case "WARNING":
		return slog.LevelWarn
	case "ERROR":
		return slog.LevelError
	case "CRITICAL":
		return LevelCritical
	}
	return slog.LevelInfo
}

// CleanupTTL is the age at which complete sessions are deleted; 0 means never.
func (o Options) CleanupTTL() time.Duration {
	d, err := ParseAge(o.CleanupCompletedSessionTTL)
	if err != nil {
		return 0
	}
	return d
}

// ActualStateTTL is how long a node's report counts.
func (o Options) ActualStateTTL() time.Duration {
	d, err := ParseAge(o.ComponentActualStateTTL)
	if err != nil {
		d, _ = ParseAge(DefaultOptions().ComponentActualStateTTL)
	}
	return d
}

// MaxPowerOnWait is how long a node may take to come on.
func (o Options) MaxPowerOnWait() time.Duration { return seconds(o.MaxPowerOnWaitTime) }

// MaxPowerOffWait is how long a node may take to go off before it is forced.
func (o Options) MaxPowerOffWait() time.Duration { return seconds(o.MaxPowerOffWaitTime) }

// MaxBootWait is how long a node may take from its power-on to its report.
func (o Options) MaxBootWait() time.Duration { return seconds(o.MaxBootWaitTime) }

// minPause keeps loops whose frequency is set to 0 from spinning.
const minPause = time.Second

// Polling is the slowest pace at which nodes in flight are looked at.
func (o Options) Polling() time.Duration { return max(seconds(o.PollingFrequency), minPause) }

// Discovery is the pace at which HSM is asked for new nodes.
func (o Options) Discovery() time.Duration { return max(seconds(o.DiscoveryFrequency), minPause) }

// BatchSize returns how many nodes one batch may have: limit, or less if the
// option caps it.
func (o Options) BatchSize(limit int) int {
	if o.MaxComponentBatchSize > 0 && o.MaxComponentBatchSize < limit {
		return o.MaxComponentBatchSize
	}
	return limit
}

// RetryLimit returns how many attempts a component may have: its own policy,
// else the default.
func (o Options) RetryLimit(c *Component) int { return c.RetryPolicy.Or(o.DefaultRetryPolicy) }

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }
