// SPDX-License-Identifier: MIT

package world

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

const (
	// reportPause is how long a node waits after a report that failed,
	// reportTries how often it tries again.
	reportPause = 500 * time.Millisecond
	reportTries = 20
)

// delay is a knob in seconds, of the node or else the default. The caller holds
// the lock.
func (w *World) delay(id, knob string) time.Duration {
	v, ok := w.node(id)[knob]
	if !ok {
		v = w.defaults[knob]
	}
	return time.Duration(number(v) * float64(time.Second))
}

// command has a node do what PCS was asked for, if it listens. The caller holds
// the lock.
func (w *World) command(id, operation string) {
	n, ok := w.nodes.get(id).(map[string]any)
	if !ok {
		return
	}
	switch operation {
	case "On":
		failures := number(n["on_failures"])
		switch {
		case truth(n["never_on"]):
		case failures > 0:
			n["on_failures"] = json.Number(strconv.Itoa(int(failures) - 1))
		case n["power"] == "on":
		default:
			w.later(w.delay(id, "power_delay"), func() { w.powerOn(id) })
		}
	case "Soft-Off", "Off":
		if !truth(n["ignore_soft_off"]) {
			w.later(w.delay(id, "off_delay"), func() { turn(n, "off") })
		}
	case "Force-Off":
		if !truth(n["ignore_force_off"]) {
			w.later(w.delay(id, "off_delay"), func() { turn(n, "off") })
		}
	}
}

// turn sets a node's power; whatever the node was about to do is over. It
// returns the number of this life of the node. The caller holds the lock.
func turn(n map[string]any, power string) int {
	life := int(number(n["epoch"])) + 1
	n["power"], n["epoch"] = power, json.Number(strconv.Itoa(life))
	return life
}

// powerOn is called with the lock held.
func (w *World) powerOn(id string) {
	n := w.node(id)
	life := turn(n, "on")
	token, _ := w.bss[id]["token"].(string)
	if !truth(n["never_report"]) {
		w.later(w.delay(id, "boot_delay"), func() { w.report(id, life, token, 0) })
	}
}

// report has a node that is up tell BOS which token it booted with, as often as
// it takes. The caller holds the lock.
func (w *World) report(id string, life int, token string, tries int) {
	if !w.closed {
		generation := w.generation
		w.reporting.Go(func() { w.reportNow(generation, id, life, token, tries) })
	}
}

func (w *World) reportNow(generation int, id string, life int, token string, tries int) {
	w.mu.Lock()
	n, _ := w.nodes.get(id).(map[string]any)
	alive := w.generation == generation && int(number(n["epoch"])) == life && n["power"] == "on"
	if wrong, ok := n["wrong_token"].(string); alive && ok && wrong != "" {
		token = wrong
	}
	base, client := w.bos, w.client
	w.mu.Unlock()
	if !alive {
		return
	}
	err := send(client, base, id, token)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.generation != generation {
		return
	}
	if err != nil {
		if tries < reportTries {
			w.later(reportPause, func() { w.report(id, life, token, tries+1) })
		}
		return
	}
	if c, ok := w.cfs[id]; ok {
		c["enabled"], c["state"] = true, []any{}
		w.kick(id)
	}
}

// send makes one report.
func send(client *http.Client, base, id, token string) error {
	var body struct {
		ID     string `json:"id"`
		Actual struct {
			Token string `json:"bss_token"`
		} `json:"actual_state"`
	}
	body.ID, body.Actual.Token = id, token
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), reportTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPatch, base+"/v2/components/"+id, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := client.Do(r)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	if res.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("%s", res.Status)
	}
	return err
}

// kick has CFS configure a node that waits for it. The caller holds the lock.
func (w *World) kick(id string) {
	c := w.cfs[id]
	if truth(c["desired_config"]) && c["configuration_status"] != "pending" {
		c["configuration_status"] = "pending"
	}
	if !truth(c["enabled"]) || c["configuration_status"] != "pending" {
		return
	}
	want := c["desired_config"]
	w.later(w.delay(id, "configure_delay"), func() {
		if !truth(c["enabled"]) || c["desired_config"] != want || c["configuration_status"] != "pending" {
			return
		}
		result, ok := w.node(id)["cfs_result"]
		if !ok {
			result = "configured"
		}
		c["configuration_status"] = result
		if result == "failed" {
			c["error_count"] = json.Number("3")
		}
	})
}
