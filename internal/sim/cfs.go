// SPDX-License-Identifier: MIT

package sim

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// The bounds of CFS.
const (
	defaultRetryPolicy = 3
	// maxURL is the longest URL that CFS's server reads.
	maxURL = 8192
	// maxConfigName is the longest name of a configuration.
	maxConfigName = 60
)

// The configuration states of CFS.
const (
	cfsUnconfigured = "unconfigured"
	cfsPending      = "pending"
	cfsFailed       = "failed"
	cfsConfigured   = "configured"
)

func (s *Site) addCFS(svc *service) {
	svc.prefixes = []string{"/v3"}
	svc.notFound = func(w http.ResponseWriter, _ *req) {
		problem(w, http.StatusNotFound, "The requested URL was not found on the server.")
	}
	svc.notAllowed = func(w http.ResponseWriter, _ *req, _ []string) {
		problem(w, http.StatusMethodNotAllowed, "The method is not allowed for the requested URL.")
	}
	svc.routes = []route{
		{"GET", "/components", s.cfsList},
		{"PATCH", "/components", s.cfsPatchMany},
		{"GET", "/components/*", s.cfsOne},
		{"PATCH", "/components/*", s.cfsPatchOne},
	}
}

// cfsBody is a component as CFS shows it.
type cfsBody struct {
	ID           string             `json:"id"`
	Desired      string             `json:"desired_config"`
	Errors       int32              `json:"error_count"`
	Retries      int32              `json:"retry_policy"`
	Enabled      bool               `json:"enabled"`
	Status       string             `json:"configuration_status"`
	Tags         map[string]string  `json:"tags"`
	State        *[]json.RawMessage `json:"state,omitempty"`
	DesiredState *[]json.RawMessage `json:"desired_state,omitempty"`
}

// cfsShown renders a component; the lock must be held.
func (s *Site) cfsShown(i int32, state, config bool) cfsBody {
	c := &s.nodes[i].config
	b := cfsBody{
		ID: s.comps[i].id, Desired: c.desired, Errors: c.errors, Retries: c.retries, Enabled: c.enabled,
		Status: s.cfsStatus(i), Tags: map[string]string{},
	}
	for k, v := range c.tags {
		b.Tags[k] = v
	}
	if state {
		layers := c.layers()
		b.State = &layers
	}
	if config {
		layers := []json.RawMessage{}
		if c.desired != "" {
			layers = append(layers, encoded(map[string]string{"commit": commitOf(c.desired), "name": c.desired}))
		}
		b.DesiredState = &layers
	}
	return b
}

// cfsQuery is the selection of a list or a bulk change.
type cfsQuery struct {
	ids     []string
	status  string
	enabled *bool
	config  string
	tags    map[string]string
}

func (s *Site) cfsMatches(f *cfsQuery, i int32) bool {
	c := &s.nodes[i].config
	if !c.present || f.enabled != nil && c.enabled != *f.enabled || f.config != "" && c.desired != f.config {
		return false
	}
	for k, v := range f.tags {
		if c.tags[k] != v {
			return false
		}
	}
	return f.status == "" || s.cfsStatus(i) == f.status
}

// cfsSelect returns the components that fit, sorted by id; the lock must be
// held. No ids means all.
func (s *Site) cfsSelect(f *cfsQuery) (found []int32) {
	if len(f.ids) == 0 {
		for i := range s.nodes {
			if s.cfsMatches(f, int32(i)) {
				found = append(found, int32(i))
			}
		}
		// The layout of the site has its nodes in the order of their names.
		return found
	}
	for _, id := range f.ids {
		if i, ok := s.lookup(id); ok && s.cfsMatches(f, i) {
			found = append(found, i)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func splitList(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' })
}

func parseTags(text string) (map[string]string, bool) {
	out := map[string]string{}
	for _, pair := range splitList(text) {
		k, v, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, false
		}
		out[k] = v
	}
	return out, true
}

func badRequest(w http.ResponseWriter, detail string) { problem(w, http.StatusBadRequest, detail) }

// readCFSQuery reads the selection of a list; detail says what is wrong.
func readCFSQuery(query url.Values) (f cfsQuery, detail string) {
	f = cfsQuery{ids: splitList(query.Get("ids")), status: query.Get("status"), config: query.Get("config_name")}
	switch f.status {
	case "", cfsUnconfigured, cfsFailed, cfsPending, cfsConfigured:
	default:
		return f, "'" + f.status + "' is not one of ['unconfigured', 'failed', 'pending', 'configured', '']"
	}
	if text := query.Get("enabled"); text != "" {
		on, ok := jsonBool(text)
		if !ok {
			return f, "Wrong type, expected 'boolean' for query parameter 'enabled'"
		}
		f.enabled = &on
	}
	tags, ok := parseTags(query.Get("tags"))
	if !ok {
		return f, "Tags must be in the form key=value"
	}
	f.tags = tags
	return f, ""
}

// jsonBool reads a boolean as CFS's framework does: true and false only.
func jsonBool(text string) (on, ok bool) {
	return text == "true", text == "true" || text == "false"
}

// cfsNext is where the next page is: all parameters of the call, some null.
type cfsNext struct {
	Limit         int    `json:"limit"`
	AfterID       string `json:"after_id"`
	IDs           string `json:"ids"`
	Status        string `json:"status"`
	Enabled       *bool  `json:"enabled"`
	ConfigName    string `json:"config_name"`
	ConfigDetails bool   `json:"config_details"`
	StateDetails  bool   `json:"state_details"`
	Tags          string `json:"tags"`
}

// cfsList is GET /components.
func (s *Site) cfsList(w http.ResponseWriter, q *req) {
	if len(q.URL.RequestURI()) > maxURL {
		s.judgeTooBig("cfs", "GET components with a URL longer than its server reads")
		plain(w, http.StatusRequestURITooLong, "Request-URI Too Long\n")
		return
	}
	query := q.URL.Query()
	if ids, given := query["ids"]; given && strings.Join(ids, "") == "" {
		s.judgeEmpty("cfs", "GET components with empty ids lists all of them")
	}
	f, detail := readCFSQuery(query)
	limit, ok := limitParam(query.Get("limit"), s.cfg.CFSPageSize)
	if !ok {
		detail = "limit must be a number of at least 1"
	}
	stateDetails, _ := jsonBool(query.Get("state_details"))
	configDetails, _ := jsonBool(query.Get("config_details"))
	if detail != "" {
		badRequest(w, detail)
		return
	}
	s.mu.Lock()
	found := s.cfsSelect(&f)
	if after := query.Get("after_id"); after != "" {
		found = slices.DeleteFunc(found, func(i int32) bool { return s.comps[i].id <= after })
	}
	var next *cfsNext
	if len(found) > limit {
		found = found[:limit]
		next = &cfsNext{
			Limit: limit, AfterID: s.comps[found[limit-1]].id, IDs: query.Get("ids"), Status: f.status,
			Enabled: f.enabled, ConfigName: f.config, ConfigDetails: configDetails, StateDetails: stateDetails,
			Tags: query.Get("tags"),
		}
	}
	out := make([]cfsBody, 0, len(found))
	for _, i := range found {
		out = append(out, s.cfsShown(i, stateDetails, configDetails))
	}
	s.mu.Unlock()
	reply(w, http.StatusOK, typeJSON, map[string]any{"components": out, "next": next})
}

// cfsOne is GET /components/{id}.
func (s *Site) cfsOne(w http.ResponseWriter, q *req) {
	stateDetails, _ := jsonBool(q.URL.Query().Get("state_details"))
	configDetails, _ := jsonBool(q.URL.Query().Get("config_details"))
	s.mu.Lock()
	i, ok := s.lookup(q.args[0])
	ok = ok && s.nodes[i].config.present
	var out cfsBody
	if ok {
		out = s.cfsShown(i, stateDetails, configDetails)
	}
	s.mu.Unlock()
	if !ok {
		cfsNotFound(w, q.args[0])
		return
	}
	reply(w, http.StatusOK, typeJSON, out)
}

func cfsNotFound(w http.ResponseWriter, id string) {
	reply(w, http.StatusNotFound, typeProblem, problemBody{
		Type: "about:blank", Title: "Component not found.", Status: http.StatusNotFound,
		Detail: "Component " + id + " could not be found",
	})
}

// cfsPatch is a change of a component; nil fields stay.
type cfsPatch struct {
	ID      string             `json:"id"`
	Enabled *bool              `json:"enabled"`
	Desired *string            `json:"desired_config"`
	State   *[]json.RawMessage `json:"state"`
	Tags    map[string]string  `json:"tags"`
	Errors  *int32             `json:"error_count"`
	Retries *int32             `json:"retry_policy"`
}

func (p *cfsPatch) check() string {
	if p.Desired != nil && len(*p.Desired) > maxConfigName {
		return "'" + *p.Desired + "' is too long - 'desired_config'"
	}
	return ""
}

// strictly decodes a body of a closed schema.
func strictly(body []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// cfsPatchMany is PATCH /components, by filter or as a list of components.
func (s *Site) cfsPatchMany(w http.ResponseWriter, q *req) {
	if trimmed := bytes.TrimSpace(q.body); len(trimmed) > 0 && trimmed[0] == '[' {
		s.cfsPatchList(w, q)
		return
	}
	var in struct {
		Patch   cfsPatch `json:"patch"`
		Filters struct {
			IDs     string `json:"ids"`
			Status  string `json:"status"`
			Enabled *bool  `json:"enabled"`
			Config  string `json:"config_name"`
			Tags    string `json:"tags"`
		} `json:"filters"`
	}
	if err := strictly(q.body, &in); err != nil {
		badRequest(w, err.Error())
		return
	}
	tags, ok := parseTags(in.Filters.Tags)
	if !ok {
		badRequest(w, "Tags must be in the form key=value")
		return
	}
	if detail := in.Patch.check(); detail != "" {
		badRequest(w, detail)
		return
	}
	f := cfsQuery{
		ids: splitList(in.Filters.IDs), status: in.Filters.Status, enabled: in.Filters.Enabled,
		config: in.Filters.Config, tags: tags,
	}
	if len(f.ids) == 0 {
		s.judgeEmpty("cfs", "PATCH components without ids changes all components")
	}
	q.call.Nodes = f.ids
	s.mu.Lock()
	found := s.cfsSelect(&f)
	ids := make([]string, 0, len(found))
	for _, i := range found {
		s.cfsApply(i, &in.Patch)
		ids = append(ids, s.comps[i].id)
	}
	s.mu.Unlock()
	reply(w, http.StatusOK, typeJSON, map[string][]string{"component_ids": ids})
}

// cfsPatchList changes the components of a list: all or, where one is unknown,
// none.
func (s *Site) cfsPatchList(w http.ResponseWriter, q *req) {
	var in []cfsPatch
	if err := strictly(q.body, &in); err != nil {
		badRequest(w, err.Error())
		return
	}
	ids := make([]string, len(in))
	for k := range in {
		ids[k] = in[k].ID
		if detail := in[k].check(); detail != "" {
			badRequest(w, detail)
			return
		}
	}
	q.call.Nodes = ids
	missing := -1
	s.mu.Lock()
	at := make([]int32, len(in))
	for k, id := range ids {
		i, ok := s.lookup(id)
		if !ok || !s.nodes[i].config.present {
			missing = k
			break
		}
		at[k] = i
	}
	if missing < 0 {
		for k, i := range at {
			s.cfsApply(i, &in[k])
		}
	}
	s.mu.Unlock()
	if missing >= 0 {
		cfsNotFound(w, ids[missing])
		return
	}
	reply(w, http.StatusOK, typeJSON, map[string][]string{"component_ids": ids})
}

// cfsPatchOne is PATCH /components/{id}.
func (s *Site) cfsPatchOne(w http.ResponseWriter, q *req) {
	var in cfsPatch
	if err := strictly(q.body, &in); err != nil {
		badRequest(w, err.Error())
		return
	}
	if detail := in.check(); detail != "" {
		badRequest(w, detail)
		return
	}
	q.call.Nodes = q.args
	s.mu.Lock()
	i, ok := s.lookup(q.args[0])
	ok = ok && s.nodes[i].config.present
	var out cfsBody
	if ok {
		s.cfsApply(i, &in)
		out = s.cfsShown(i, false, false)
	}
	s.mu.Unlock()
	if !ok {
		cfsNotFound(w, q.args[0])
		return
	}
	reply(w, http.StatusOK, typeJSON, out)
}

// commitOf makes up the commit of a configuration's only layer.
func commitOf(config string) string {
	h := uint64(len(config))
	for i := range len(config) {
		h = mix(h ^ uint64(config[i]))
	}
	return strconv.FormatUint(h, 16)
}
