// SPDX-License-Identifier: MIT

package bos

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// timestampLayout is the form of times in the API: UTC, seconds, no zone.
const timestampLayout = "2006-01-02T15:04:05"

// Timestamp writes a time as the API does: UTC, YYYY-MM-DDTHH:MM:SS.
func Timestamp(t time.Time) string { return t.UTC().Format(timestampLayout) }

// ParseTimestamp reads a time that a client may have written into a session: a
// date, or a date and a time to fractions of a second, as ISO 8601 and the Date
// header write them. A zone is accepted and ignored, as clients of this API have
// come to expect of it.
func ParseTimestamp(s string) (time.Time, error) {
	bare := s
	if i := strings.IndexAny(s, "T "); i >= 0 {
		if z := strings.IndexAny(s[i:], "Zz+-"); z >= 0 {
			if err := checkZone(s[i+z:]); err != nil {
				return time.Time{}, fmt.Errorf("%q is no date and time", s)
			}
			bare = strings.TrimSuffix(s[:i+z], " ")
		}
	}
	for _, layout := range []string{
		timestampLayout, "2006-1-2T15:04:05", "2006-1-2 15:04:05", "2006-1-2T15:04", "2006-1-2 15:04", "2006-1-2",
		"20060102T150405", "20060102T1504", "20060102", "Mon, 2 Jan 2006 15:04:05", "Mon, 2 Jan 2006 15:04:05 GMT",
	} {
		// Parse takes fractions of a second after the seconds of any layout.
		if t, err := time.Parse(layout, bare); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no date and time", s)
}

func checkZone(zone string) error {
	if zone == "Z" || zone == "z" {
		return nil
	}
	for _, layout := range []string{"-07:00", "-0700", "-07"} {
		if _, err := time.Parse(layout, zone); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%q is no zone", zone)
}

// FormatDuration writes a duration as H:MM:SS, with microseconds if there is a
// fraction and with "N day(s), " in front if it is a day or longer or negative.
func FormatDuration(d time.Duration) string {
	const day = 24 * time.Hour
	days := int64(d / day)
	if rest := d % day; rest < 0 {
		days--
	}
	d -= time.Duration(days) * day
	text := fmt.Sprintf("%d:%02d:%02d", int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60)
	if micros := d.Microseconds() % 1_000_000; micros != 0 {
		text += fmt.Sprintf(".%06d", micros)
	}
	switch days {
	case 0:
		return text
	case 1, -1:
		return fmt.Sprintf("%d day, %s", days, text)
	}
	return fmt.Sprintf("%d days, %s", days, text)
}

// ParseAge reads an age or a time to live such as 3m, 5h, 10d, 2w or 0, with
// the unit in either letter case. The largest ages are clipped to some 290
// years.
func ParseAge(s string) (time.Duration, error) {
	if s == "0" {
		return 0, nil
	}
	units := map[byte]time.Duration{'m': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}
	if len(s) < 2 {
		return 0, fmt.Errorf("%q is no age such as 3m, 5h, 10d or 2w", s)
	}
	unit, ok := units[s[len(s)-1]|0x20]
	n, err := strconv.ParseUint(s[:len(s)-1], 10, 32)
	if !ok || err != nil {
		return 0, fmt.Errorf("%q is no age such as 3m, 5h, 10d or 2w", s)
	}
	const forever = time.Duration(1<<63 - 1)
	if n > uint64(forever/unit) {
		return forever, nil
	}
	return time.Duration(n) * unit, nil
}
