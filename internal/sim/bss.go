// SPDX-License-Identifier: MIT

package sim

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// maxParams is the size of parameters from which on Cray's BSS can't store them.
const maxParams = 1572864

// typeBSS is the content type of BSS's answers.
const typeBSS = "application/json; charset=UTF-8"

// bssEntry is what BSS has stored by one write; hosts of one write share it, and
// it never changes.
type bssEntry struct {
	params    string
	kernel    string
	initrd    string
	token     string
	cloudInit json.RawMessage
}

// bssState is what BSS has stored.
type bssState struct {
	hosts map[string]*bssEntry
	// macs is filled where BSS does not know which host has which MAC.
	macs map[string]*bssEntry
	// kernels and initrds are the parameters of images, for all nodes using them.
	kernels map[string]string
	initrds map[string]string
	history map[string]time.Time
}

func newBSSState() bssState {
	return bssState{
		hosts: map[string]*bssEntry{}, macs: map[string]*bssEntry{},
		kernels: map[string]string{}, initrds: map[string]string{},
		history: map[string]time.Time{},
	}
}

func (s *Site) addBSS(svc *service) {
	svc.prefixes = []string{"/boot/v1"}
	if s.cfg.Flavour == Cray {
		svc.notFound = func(w http.ResponseWriter, _ *req) {
			replyBytes(w, http.StatusOK, "text/plain; charset=utf-8", []byte("Hello World!"))
		}
	}
	svc.notAllowed = func(w http.ResponseWriter, _ *req, allowed []string) {
		list := strings.Join(allowed, ",")
		w.Header().Set("Allow", list)
		problem(w, http.StatusMethodNotAllowed, "allow "+list)
	}
	svc.routes = []route{
		{"GET", "/bootparameters", s.bssGet},
		{"PUT", "/bootparameters", s.bssPut},
		{"POST", "/bootparameters", s.bssPost},
		{"PATCH", "/bootparameters", s.bssPatch},
		{"DELETE", "/bootparameters", s.bssDelete},
		{"GET", "/bootscript", s.bssScript},
		{"GET", "/endpoint-history", s.bssHistory},
		{"POST", "/hosts", func(w http.ResponseWriter, _ *req) {
			w.Header().Set("Content-Type", typeBSS)
			w.WriteHeader(http.StatusNoContent)
		}},
	}
}

// bootParams is the body of the calls on boot parameters. Fields that PATCH must
// tell apart from empty ones are pointers.
type bootParams struct {
	Hosts     []string        `json:"hosts"`
	MACs      []string        `json:"macs"`
	NIDs      []int32         `json:"nids"`
	Params    *string         `json:"params"`
	Kernel    *string         `json:"kernel"`
	Initrd    *string         `json:"initrd"`
	CloudInit json.RawMessage `json:"cloud-init"`
}

func valueOf(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

// decodeParams reads a body the way BSS does: the first JSON value counts.
func decodeParams(body []byte) (*bootParams, error) {
	type BootParams bootParams // the name in decoding errors
	var in BootParams
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&in); err != nil {
		return nil, err
	}
	return (*bootParams)(&in), nil
}

// bssBody decodes a request or answers with BSS's refusal.
func (s *Site) bssBody(w http.ResponseWriter, q *req) (*bootParams, bool) {
	in, err := decodeParams(q.body)
	switch {
	case errors.Is(err, io.EOF):
		problem(w, http.StatusBadRequest, "Bad Request: EOF")
	case err != nil:
		problem(w, http.StatusBadRequest, "Bad Request: "+err.Error())
	default:
		q.call.Nodes, q.call.Kernel = in.Hosts, strings.Clone(valueOf(in.Kernel))
		s.judgeNodeNames("bss", in.Hosts)
		return in, true
	}
	return nil, false
}

// bssTarget is one place where a write stores its entry.
type bssTarget struct {
	key string
	mac bool
}

// targets returns where a write goes. Cray's BSS turns MACs and NIDs into names
// and looks at one kind of them only; OpenCHAMI's keeps all apart.
func (s *Site) bssTargets(in *bootParams) (out []bssTarget, detail string) {
	for _, h := range in.Hosts {
		out = append(out, bssTarget{key: h})
	}
	separate := s.cfg.Flavour == OpenCHAMI
	if len(out) > 0 && !separate {
		return out, ""
	}
	for _, mac := range in.MACs {
		if _, err := net.ParseMAC(mac); err != nil && separate {
			return nil, "Bad Request: invalid MAC address format: " + mac + "\n"
		}
		i, known := nodeOfMAC(mac)
		switch {
		case separate || s.cfg.BSSByMAC:
			out = append(out, bssTarget{key: strings.ToLower(mac), mac: true})
		case known && int(i) < len(s.nodes):
			out = append(out, bssTarget{key: s.comps[i].id})
		default:
			out = append(out, bssTarget{key: mac})
		}
	}
	for _, nid := range in.NIDs {
		if i, ok := s.nodeOfNID(nid); ok {
			out = append(out, bssTarget{key: s.comps[i].id})
		}
	}
	return out, ""
}

// nodeOfMAC turns an address of the site back into a node's index.
func nodeOfMAC(mac string) (int32, bool) {
	hw, err := net.ParseMAC(mac)
	if err != nil || len(hw) != 6 || hw[0] != 0xb4 || hw[1] != 0x2e || hw[2] != 0x99 {
		return 0, false
	}
	return int32(hw[3])<<16 | int32(hw[4])<<8 | int32(hw[5]), true
}

func (s *Site) nodeOfNID(nid int32) (int32, bool) {
	i := nid - 1
	if nid > 0 && int(i) < s.cfg.Nodes && s.comps[i].nid == nid {
		return i, true
	}
	for k := range s.nodes {
		if s.comps[k].nid == nid {
			return int32(k), true
		}
	}
	return 0, false
}

// entry makes the entry of a write.
func (in *bootParams) entry(token string) *bssEntry {
	return &bssEntry{
		params: valueOf(in.Params), kernel: valueOf(in.Kernel), initrd: valueOf(in.Initrd),
		cloudInit: slices.Clone(in.CloudInit), token: token,
	}
}

// bssPut is PUT /bootparameters: host after host, to the end even where the
// client has gone.
func (s *Site) bssPut(w http.ResponseWriter, q *req) {
	in, ok := s.bssBody(w, q)
	if !ok {
		return
	}
	s.mu.Lock()
	targets, detail := s.bssTargets(in)
	s.mu.Unlock()
	open := s.cfg.Flavour == OpenCHAMI
	empty := in.Params == nil && in.Kernel == nil && in.Initrd == nil && in.CloudInit == nil
	switch {
	case detail != "":
	case open && empty:
		detail = "Bad Request: No data"
	case !open && len(valueOf(in.Params)) > maxParams:
		s.judgeTooBig("bss", "parameters larger than the store takes")
		s.judgePut(in.Hosts, false)
		problem(w, http.StatusInternalServerError, "Key storage of '"+valueOf(in.Params)+"' failed")
		return
	}
	if detail != "" {
		s.judgePut(in.Hosts, false)
		problem(w, http.StatusBadRequest, detail)
		return
	}
	if len(targets) == 0 {
		s.bssPutGlobal(w, in)
		return
	}
	token := uuid.NewString()
	if !s.storeSlowly(q, targets, in.entry(pick(s.cfg.BSSToken == TokenStored, token, ""))) {
		s.judgePut(in.Hosts, false)
		return
	}
	s.judgePut(in.Hosts, true)
	w.Header().Set("Content-Type", typeBSS)
	w.Header().Set("Bss-Referral-Token", token)
	w.WriteHeader(http.StatusOK)
}

// bssPutGlobal is a write that names no host: it replaces the parameters of the
// images themselves, for every node that uses them.
func (s *Site) bssPutGlobal(w http.ResponseWriter, in *bootParams) {
	if in.Kernel != nil || in.Initrd != nil {
		s.judgeEmpty("bss", "PUT bootparameters without hosts changes an image for all nodes")
	}
	s.mu.Lock()
	if k := valueOf(in.Kernel); k != "" {
		s.bss.kernels[k] = valueOf(in.Params)
	} else if i := valueOf(in.Initrd); i != "" {
		s.bss.initrds[i] = valueOf(in.Params)
	}
	s.mu.Unlock()
	w.Header().Set("Content-Type", typeBSS)
	if s.cfg.Flavour == OpenCHAMI {
		w.Header().Set("Bss-Referral-Token", uuid.NewString())
	}
	w.WriteHeader(http.StatusOK)
}

// bssStep is how long a write works before it looks at the clock again.
const bssStep = 5 * time.Millisecond

// storeSlowly stores an entry for each target at the pace of the real BSS. It
// ends early only where the site does, or the client where that is configured.
func (s *Site) storeSlowly(q *req, targets []bssTarget, e *bssEntry) bool {
	ctx := s.ctx
	if s.cfg.BSSStopsWithClient {
		ctx = q.Context()
	}
	per := s.cfg.Delays.BSSPerHost
	step := len(targets)
	if per > 0 {
		step = max(1, int(bssStep/per))
	}
	start := time.Now()
	for lo := 0; lo < len(targets); lo += step {
		part := targets[lo:min(lo+step, len(targets))]
		until := time.Duration(lo+len(part)) * per
		if !s.sleep(ctx, until-time.Since(start)) {
			return false
		}
		s.mu.Lock()
		s.store(part, e)
		s.mu.Unlock()
	}
	return true
}

// store puts an entry at some places; the lock must be held.
func (s *Site) store(targets []bssTarget, e *bssEntry) {
	for _, t := range targets {
		switch {
		case t.mac:
			s.bss.macs[t.key] = e
		default:
			key := t.key
			if i, ok := s.index[key]; ok {
				key = s.comps[i].id
			}
			s.bss.hosts[key] = e
		}
	}
	if e.kernel != "" {
		s.bss.kernels[e.kernel] += ""
	}
	if e.initrd != "" {
		s.bss.initrds[e.initrd] += ""
	}
}

// bssPost is POST /bootparameters: it only creates.
func (s *Site) bssPost(w http.ResponseWriter, q *req) {
	in, ok := s.bssBody(w, q)
	if !ok {
		return
	}
	s.mu.Lock()
	targets, detail := s.bssTargets(in)
	if detail == "" {
		fresh := slices.DeleteFunc(slices.Clone(targets), func(t bssTarget) bool {
			return !t.mac && s.bss.hosts[t.key] != nil || t.mac && s.bss.macs[t.key] != nil
		})
		if len(fresh) < len(targets) && (s.cfg.Flavour == Cray || len(fresh) == 0) {
			i := slices.IndexFunc(targets, func(t bssTarget) bool { return !slices.Contains(fresh, t) })
			detail = "Bad Request: Already exists: " + targets[i].key
		}
		targets = fresh
	}
	s.mu.Unlock()
	if detail != "" {
		problem(w, http.StatusBadRequest, detail)
		return
	}
	if len(targets) == 0 {
		s.bssPutGlobal(w, in)
		return
	}
	token := uuid.NewString()
	if !s.storeSlowly(q, targets, in.entry(pick(s.cfg.BSSToken == TokenStored, token, ""))) {
		return
	}
	s.judgePut(in.Hosts, true)
	w.Header().Set("Content-Type", typeBSS)
	w.Header().Set("Bss-Referral-Token", token)
	w.WriteHeader(http.StatusCreated)
}

// bssPatch is PATCH /bootparameters: the token stays.
func (s *Site) bssPatch(w http.ResponseWriter, q *req) {
	in, ok := s.bssBody(w, q)
	if !ok {
		return
	}
	s.mu.Lock()
	missing := ""
	for _, h := range in.Hosts {
		if s.bss.hosts[h] == nil {
			missing = h
			break
		}
	}
	if missing == "" {
		for _, h := range in.Hosts {
			e := *s.bss.hosts[h]
			if in.Params != nil {
				e.params = *in.Params
			}
			if in.Kernel != nil {
				e.kernel = *in.Kernel
			}
			if in.Initrd != nil {
				e.initrd = *in.Initrd
			}
			s.store([]bssTarget{{key: h}}, &e)
		}
	}
	s.mu.Unlock()
	if missing != "" {
		problem(w, http.StatusNotFound, "Not Found: Error looking up "+missing+": Key /params/"+missing+" does not exist")
		return
	}
	w.Header().Set("Content-Type", typeBSS)
	w.WriteHeader(http.StatusOK)
}

// bssDelete is DELETE /bootparameters.
func (s *Site) bssDelete(w http.ResponseWriter, q *req) {
	in, ok := s.bssBody(w, q)
	if !ok {
		return
	}
	s.mu.Lock()
	missing := ""
	for _, h := range in.Hosts {
		if s.bss.hosts[h] == nil {
			missing = h
			break
		}
		delete(s.bss.hosts, h)
	}
	for _, m := range in.MACs {
		delete(s.bss.macs, strings.ToLower(m))
	}
	s.mu.Unlock()
	if missing != "" {
		problem(w, http.StatusBadRequest, "Key "+missing+" deletion: Key /params/"+missing+" does not exist")
		return
	}
	w.Header().Set("Content-Type", typeBSS)
	w.WriteHeader(http.StatusOK)
}

// validNIDs parses the NIDs of a query.
func validNIDs(list []string) (out []int32, bad string) {
	for _, v := range list {
		n, err := strconv.ParseInt(v, 10, 32)
		if err != nil {
			return nil, v
		}
		out = append(out, int32(n))
	}
	return out, ""
}
