// SPDX-License-Identifier: MIT

package api

import (
	"net/http"
	"slices"

	"bos/internal/bos"
)

// applied is what became of the nodes of a request, each list in its order.
type applied struct {
	Succeeded []string `json:"succeeded"`
	Failed    []string `json:"failed"`
	Ignored   []string `json:"ignored"`
}

func (a *applied) add(id string, outcome bos.StagedOutcome) {
	switch outcome {
	case bos.StagedSucceeded:
		a.Succeeded = append(a.Succeeded, id)
	case bos.StagedFailed:
		a.Failed = append(a.Failed, id)
	case bos.StagedIgnored:
		a.Ignored = append(a.Ignored, id)
	}
}

// applyStaged starts on each named node what is staged there. A node that is
// named more than once is started as often, one after the other, in one write.
func (s *server) applyStaged(x *exchange) error {
	within, err := s.nodesOfMany(x.ctx(), x.tenant)
	if err != nil {
		return err
	}
	var body struct {
		Xnames []string `json:"xnames"`
	}
	if err := decode(x.body, &body); err != nil {
		return err
	}
	if err := s.limits.checkItems(len(body.Xnames)); err != nil {
		return err
	}
	x.about(body.Xnames...)
	if err := s.sync(x.ctx()); err != nil {
		return err
	}
	times := make(map[string]int, len(body.Xnames))
	for _, id := range body.Xnames {
		times[id]++
	}
	w, clearStage := s.writer(x.tenant), s.view.Options().ClearStage
	outcomes := make(map[string][]bos.StagedOutcome, len(times))
	_, err = s.update(x.ctx(), once(body.Xnames), func(id string, old, _ *bos.Record) (*bos.Record, error) {
		outcomes[id] = nil
		if old == nil || !mayTouch(within, id) {
			return nil, nil
		}
		rec := *old
		for range times[id] {
			var outcome bos.StagedOutcome
			rec, outcome = w.ApplyStaged(rec, clearStage, s.operationOf)
			outcomes[id] = append(outcomes[id], outcome)
		}
		return &rec, nil
	})
	if err != nil {
		return err
	}
	answer := applied{Succeeded: []string{}, Failed: []string{}, Ignored: []string{}}
	for _, id := range body.Xnames {
		next := bos.StagedIgnored
		if left := outcomes[id]; len(left) > 0 {
			next, outcomes[id] = left[0], left[1:]
		}
		answer.add(id, next)
	}
	x.about(slices.Concat(answer.Succeeded, answer.Failed)...)
	return x.json(http.StatusOK, answer)
}

// operationOf looks up the operation of a session.
func (s *server) operationOf(key bos.SessionKey) (bos.Operation, bool) {
	rec, ok := s.view.Session(key)
	if !ok {
		return "", false
	}
	return rec.Session.Operation, true
}
