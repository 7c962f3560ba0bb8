// SPDX-License-Identifier: MIT

package call

import (
	"net/http"
	"time"
)

// dated is what a service's clock showed, in whole seconds, when an answer came.
type dated struct {
	date, at time.Time
}

// dated takes note of an answer's date; most have one.
func (s *Service) dated(header http.Header, at time.Time) {
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		s.date.Store(&dated{date, at})
	}
}

// Time returns what the service's own clock shows at a moment of this process
// (from [time.Now]), to a second or two: by its last answer and the time that has
// passed since, whatever the clock of this machine is set to. false says that no
// answer was dated yet.
func (s *Service) Time(at time.Time) (time.Time, bool) {
	last := s.date.Load()
	if last == nil {
		return time.Time{}, false
	}
	return last.date.Add(at.Sub(last.at)), true
}
