// SPDX-License-Identifier: MIT

package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// The habits of a node's reporter, before scaling.
const (
	// reportPauseStep is how much longer each failed report makes the pause, up
	// to reportPauseMax.
	reportPauseStep = 2 * time.Second
	reportPauseMax  = 30 * time.Second
	// defaultUpdateFrequency is used where the command line names none.
	defaultUpdateFrequency = 4 * time.Hour
	// busyLoopPause stands for the reporter that sleeps for no time at all.
	busyLoopPause = time.Second
)

// The bounds of a call to BOS or a subscriber; they are not scaled.
const (
	reportTimeout = 13 * time.Second
	maxAnswer     = 1 << 20
)

// reporter sends the nodes' reports with a bounded number of goroutines, which
// end when there is nothing to send.
type reporter struct {
	url     string
	given   *http.Client
	own     *http.Client
	queue   []reportJob
	head    int
	workers int
}

// reportJob is a node that wants to report in one of its lives. A restarted
// reporter has another run.
type reportJob struct {
	node int32
	life uint32
	run  uint32
}

// client returns the client for calls out of the site; the lock must be held.
func (r *reporter) client() *http.Client {
	if r.given != nil {
		return r.given
	}
	if r.own == nil {
		r.own = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute}}
	}
	return r.own
}

// SetBOS says where nodes report: url is BOS's base URL with its prefix, without
// "/v2". client is used for reports and for change notifications; nil means one
// that gives up after 13 s. Until SetBOS is called every report fails.
func (s *Site) SetBOS(url string, client *http.Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reports.url = strings.TrimRight(url, "/")
	s.reports.given = client
}

// startReporter lets a node's reporter begin anew. The lock must be held.
func (s *Site) startReporter(i int32, life uint32) {
	n := &s.nodes[i]
	if n.life == life && n.boot.up {
		n.boot.reporter++
		s.queueReport(reportJob{i, life, n.boot.reporter})
	}
}

// current reports whether the job is still the node's own.
func (s *Site) current(job reportJob) bool {
	n := &s.nodes[job.node]
	return n.life == job.life && n.boot.up && n.boot.reporter == job.run
}

// queueReport lets a node report as soon as there is a free place. The lock must
// be held.
func (s *Site) queueReport(job reportJob) {
	n := &s.nodes[job.node]
	if !s.current(job) || s.closed {
		return
	}
	if n.has(FaultNeverReports) || n.boot.token == "" {
		// A reporter without a token sleeps and looks again.
		s.after(s.reportPeriod(n), func() { s.queueReport(job) })
		return
	}
	r := &s.reports
	r.queue = append(r.queue, job)
	if r.workers < s.cfg.ReportWorkers {
		r.workers++
		s.wg.Go(s.sendReports)
	}
}

// next returns the longest waiting job; the lock must be held.
func (r *reporter) next() (reportJob, bool) {
	if r.head == len(r.queue) {
		r.queue, r.head = nil, 0
		return reportJob{}, false
	}
	job := r.queue[r.head]
	r.head++
	return job, true
}

// sendReports is one worker: it ends when nothing waits.
func (s *Site) sendReports() {
	for {
		s.mu.Lock()
		job, ok := s.reports.next()
		if !ok || s.closed {
			s.reports.workers--
			s.mu.Unlock()
			return
		}
		n := &s.nodes[job.node]
		if !s.current(job) {
			s.mu.Unlock()
			continue
		}
		id, token, url, client := s.comps[job.node].id, n.boot.token, s.reports.url, s.reports.client()
		if n.has(FaultWrongToken) {
			token = uuid.NewString()
		}
		s.mu.Unlock()
		result := reportFailed
		if url != "" {
			result = s.report(client, url, id, token)
		}
		s.mu.Lock()
		s.reported(job, token, result)
		s.mu.Unlock()
	}
}

// reportResult is what became of a report.
type reportResult uint8

// The results.
const (
	reportAccepted reportResult = iota
	reportFailed
	// reportCrashed is an answer that the reporter can't stand: it dies into its
	// long sleep.
	reportCrashed
)

// report sends one report.
func (s *Site) report(client *http.Client, base, id, token string) reportResult {
	body := make([]byte, 0, 128)
	body = append(body, `{"id":`...)
	body = appendString(body, id)
	body = append(body, `,"actual_state":{"bss_token":`...)
	body = appendString(body, token)
	body = append(body, "}}"...)
	ctx, cancel := context.WithTimeout(s.ctx, reportTimeout)
	defer cancel()
	url := base + "/v2/components/" + id
	r, err := http.NewRequestWithContext(ctx, http.MethodPatch, url, bytes.NewReader(body))
	if err != nil {
		return reportFailed
	}
	r.Header.Set("Content-Type", typeJSON)
	r.Header.Set("Accept", typeJSON)
	res, err := client.Do(r)
	if err != nil {
		return reportFailed
	}
	defer func() { _ = res.Body.Close() }()
	answer, _ := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if res.StatusCode < http.StatusBadRequest {
		return reportAccepted
	}
	if res.StatusCode == http.StatusNotFound && json.Valid(answer) {
		var fields map[string]any
		_ = json.Unmarshal(answer, &fields)
		if _, ok := fields["detail"]; !ok {
			return reportCrashed
		}
	}
	return reportFailed
}

// reported plans the node's next report. The lock must be held.
func (s *Site) reported(job reportJob, token string, result reportResult) {
	s.stats.Reports++
	n := &s.nodes[job.node]
	if result != reportAccepted {
		s.stats.ReportsFailed++
	}
	if !s.current(job) {
		return
	}
	var pause time.Duration
	switch result {
	case reportAccepted:
		pause = s.reportPeriod(n)
		if n.boot.reports == 0 {
			pause = time.Duration(s.draw(job.node, purposeReport) * float64(pause))
		}
		n.boot.reports++
		n.boot.failures = 0
		n.boot.accepted = token
	case reportFailed:
		pause = s.scaled(min(time.Duration(n.boot.failures)*reportPauseStep, reportPauseMax))
		n.boot.failures++
	case reportCrashed:
		pause = s.reportPeriod(n)
	}
	s.after(pause, func() { s.queueReport(job) })
}

// reportPeriod is the pause between two reports of a node, scaled: three
// quarters of what its command line says.
func (s *Site) reportPeriod(n *node) time.Duration {
	every := defaultUpdateFrequency
	if n.boot.entry != nil {
		if text := parameter(n.boot.entry.params, "bos_update_frequency"); text != "" {
			every = updateFrequency(text)
		}
	}
	return s.scaled(max(every*3/4, busyLoopPause))
}

// updateFrequency reads one number and one unit of s, m, h, d, w; anything else
// is the default.
func updateFrequency(text string) time.Duration {
	units := map[byte]time.Duration{
		's': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour,
	}
	if len(text) < 2 {
		return defaultUpdateFrequency
	}
	unit, ok := units[text[len(text)-1]]
	n, err := strconv.Atoi(text[:len(text)-1])
	if !ok || err != nil || n < 0 || n > 100000 {
		return defaultUpdateFrequency
	}
	return time.Duration(n) * unit
}
