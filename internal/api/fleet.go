// SPDX-License-Identifier: MIT

package api

import (
	"hash/fnv"
	"net/http"
	"slices"
	"strconv"

	"bos/internal/bos"
	"bos/internal/view"
)

const (
	// fleetCodes are the characters that stand for statuses, by their numbers.
	fleetCodes = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	// longestStatus bounds the name of a status in bytes: a client's own may be
	// of any length.
	longestStatus = 127
	// otherStatus stands for those that have no character of their own.
	otherStatus = "other"
)

// fleet is what a map of the fleet needs.
type fleet struct {
	Total    int      `json:"total"`
	Layout   string   `json:"layout"`
	IDs      []string `json:"ids,omitempty"`
	Statuses []string `json:"statuses"`
	Codes    string   `json:"codes"`
}

// getFleet answers with the status of every component. The ids are most of it
// and seldom change, so that who has them is not sent them again.
func (s *server) getFleet(x *exchange) error {
	within, err := s.nodesOf(x.ctx(), x.tenant)
	if err != nil {
		return err
	}
	if err := s.sync(x.ctx()); err != nil {
		return err
	}
	list, tag := s.view.ComponentsAt(view.Filter{Session: x.text("session"), Within: within})
	if x.unchanged(tag) {
		return nil
	}
	f := summarise(list)
	if f.Layout == x.text("layout") {
		f.IDs = nil
	}
	return x.json(http.StatusOK, f)
}

// summarise writes components, in order, as a fleet.
func summarise(list []*view.Node) fleet {
	f := fleet{Total: len(list), IDs: make([]string, len(list)), Statuses: []string{}}
	layout := fnv.New64a()
	codes := make([]byte, len(list))
	known := map[bos.StatusName]byte{}
	for i, n := range list {
		f.IDs[i] = n.ID()
		_, _ = layout.Write(append([]byte(f.IDs[i]), 0))
		code, ok := known[n.Status]
		if !ok {
			code = f.code(n.Status)
			known[n.Status] = code
		}
		codes[i] = code
	}
	f.Layout, f.Codes = strconv.FormatUint(layout.Sum64(), 36), string(codes)
	return f
}

// code returns the character of a status, a new one if need be.
func (f *fleet) code(status bos.StatusName) byte {
	name := string(status)
	if len(name) > longestStatus || len(f.Statuses) >= len(fleetCodes)-1 {
		name = otherStatus
	}
	at := slices.Index(f.Statuses, name)
	if at < 0 {
		at = len(f.Statuses)
		f.Statuses = append(f.Statuses, name)
	}
	return fleetCodes[at]
}
