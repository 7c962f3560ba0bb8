// SPDX-License-Identifier: MIT

package sim

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// paramsBody is an entry as BSS shows it: never with its token.
type paramsBody struct {
	Hosts     []string        `json:"hosts,omitempty"`
	MACs      []string        `json:"macs,omitempty"`
	Params    string          `json:"params,omitempty"`
	Kernel    string          `json:"kernel,omitempty"`
	Initrd    string          `json:"initrd,omitempty"`
	CloudInit json.RawMessage `json:"cloud-init"`
}

const noCloudInit = `{"meta-data":null,"user-data":null,"phone-home":{"pub_key_dsa":"","pub_key_rsa":"",` +
	`"pub_key_ecdsa":"","instance_id":"","hostname":"","fqdn":""}}`

func (e *bssEntry) body(hosts, macs []string) paramsBody {
	b := paramsBody{
		Hosts: hosts, MACs: macs, Params: e.params, Kernel: e.kernel, Initrd: e.initrd,
		CloudInit: json.RawMessage(noCloudInit),
	}
	if len(e.cloudInit) > 0 {
		b.CloudInit = e.cloudInit
	}
	return b
}

// bssGet is GET /bootparameters, by query or body.
func (s *Site) bssGet(w http.ResponseWriter, q *req) {
	query := q.URL.Query()
	in := &bootParams{}
	if len(q.body) > 0 {
		var ok bool
		if in, ok = s.bssBody(w, q); !ok {
			return
		}
	}
	split := func(key string) []string {
		return strings.FieldsFunc(strings.Join(query[key], ","), func(r rune) bool { return r == ',' })
	}
	hosts, macs := slices.Concat(in.Hosts, split("name")), slices.Concat(in.MACs, split("mac"))
	nids, bad := validNIDs(split("nid"))
	if bad != "" {
		problem(w, http.StatusBadRequest, "Bad Request - Invalid nid '"+bad+"'")
		return
	}
	nids = append(nids, in.NIDs...)
	filtered := len(hosts)+len(macs)+len(nids) > 0
	s.mu.Lock()
	var out []paramsBody
	if filtered {
		out = s.entriesOf(hosts, macs, nids)
	} else {
		out = s.allEntries()
	}
	s.mu.Unlock()
	if filtered && len(out) == 0 {
		problem(w, http.StatusNotFound, "Cannot find boot parameters for requested Hosts")
		return
	}
	reply(w, http.StatusOK, typeBSS, out)
}

// entriesOf returns the entries of named nodes, one for each.
func (s *Site) entriesOf(hosts, macs []string, nids []int32) (out []paramsBody) {
	add := func(e *bssEntry, host, mac string) {
		if e == nil {
			return
		}
		b := e.body(nil, nil)
		if host != "" {
			b.Hosts = []string{host}
		}
		if mac != "" {
			b.MACs = []string{mac}
		}
		out = append(out, b)
	}
	for _, h := range hosts {
		add(s.bss.hosts[h], h, "")
	}
	for _, m := range macs {
		m = strings.ToLower(m)
		if e := s.bss.macs[m]; e != nil {
			add(e, "", m)
		} else if i, ok := nodeOfMAC(m); ok && int(i) < len(s.nodes) && !s.cfg.BSSByMAC {
			add(s.bss.hosts[s.comps[i].id], s.comps[i].id, "")
		}
	}
	for _, nid := range nids {
		if i, ok := s.nodeOfNID(nid); ok {
			add(s.bss.hosts[s.comps[i].id], s.comps[i].id, "")
		}
	}
	return out
}

// allEntries returns everything stored: images first, then an entry per host
// (Cray) or per write (OpenCHAMI). nil where there is nothing.
func (s *Site) allEntries() (out []paramsBody) {
	for _, k := range slices.Sorted(maps.Keys(s.bss.kernels)) {
		out = append(out, (&bssEntry{kernel: k, params: s.bss.kernels[k]}).body(nil, nil))
	}
	for _, k := range slices.Sorted(maps.Keys(s.bss.initrds)) {
		out = append(out, (&bssEntry{initrd: k, params: s.bss.initrds[k]}).body(nil, nil))
	}
	at := map[*bssEntry]int{}
	for _, h := range slices.Sorted(maps.Keys(s.bss.hosts)) {
		e := s.bss.hosts[h]
		if k, ok := at[e]; ok && s.cfg.Flavour == OpenCHAMI {
			out[k].Hosts = append(out[k].Hosts, h)
			continue
		}
		at[e] = len(out)
		out = append(out, e.body([]string{h}, nil))
	}
	for _, m := range slices.Sorted(maps.Keys(s.bss.macs)) {
		out = append(out, s.bss.macs[m].body(nil, []string{m}))
	}
	return out
}

// scriptQuery is how a boot script is asked for.
type scriptQuery struct {
	mac, name, nid, arch string
}

// scriptAnswer is a boot script, or the refusal to give one.
type scriptAnswer struct {
	status int
	script string
	detail string
	entry  *bssEntry
}

// bssScript is GET /bootscript.
func (s *Site) bssScript(w http.ResponseWriter, q *req) {
	query := q.URL.Query()
	in := scriptQuery{mac: query.Get("mac"), name: query.Get("name"), nid: query.Get("nid"), arch: query.Get("arch")}
	if in.mac == "" && in.name == "" && in.nid == "" {
		problem(w, http.StatusBadRequest, "Need a mac=, name=, or nid= parameter")
		return
	}
	s.mu.Lock()
	a := s.bootScript(in)
	s.mu.Unlock()
	if a.status != http.StatusOK {
		problem(w, a.status, a.detail)
		return
	}
	replyBytes(w, http.StatusOK, "text/plain; charset=UTF-8", []byte(a.script))
}

// scriptNode returns the node that asks, noNode where HSM knows none.
func (s *Site) scriptNode(in scriptQuery) int32 {
	switch {
	case in.mac != "":
		if i, ok := nodeOfMAC(in.mac); ok && int(i) < len(s.nodes) {
			return i
		}
	case in.name != "":
		if i, ok := s.lookup(in.name); ok {
			return i
		}
	default:
		if nids, bad := validNIDs([]string{in.nid}); bad == "" {
			if i, ok := s.nodeOfNID(nids[0]); ok {
				return i
			}
		}
	}
	return noNode
}

// entryFor finds what a node boots: by MAC, by name, by role, by default, as far
// as the kind of BSS goes.
func (s *Site) entryFor(in scriptQuery, i int32) *bssEntry {
	if e := s.bss.macs[strings.ToLower(in.mac)]; in.mac != "" && e != nil {
		return e
	}
	if in.mac != "" && s.cfg.BSSByMAC {
		return nil
	}
	names := []string{in.name}
	if i != noNode {
		names = []string{s.comps[i].id, in.name, s.comps[i].role}
	}
	if s.cfg.Flavour == Cray {
		names = append(names, "Default")
	}
	for _, name := range names {
		if e := s.bss.hosts[name]; name != "" && e != nil {
			return e
		}
	}
	return nil
}

// scriptAddress is where scripts send nodes for their next try.
const scriptAddress = "https://api-gw-service-nmn.local/apis/bss/boot/v1/bootscript?"

// bootScript makes the script for a request; the lock must be held.
func (s *Site) bootScript(in scriptQuery) scriptAnswer {
	i := s.scriptNode(in)
	asked := "name=" + in.name
	switch {
	case in.mac != "":
		asked = "mac=" + in.mac
	case in.name == "":
		asked = "nid=" + in.nid
	}
	e := s.entryFor(in, i)
	if i == noNode || s.comps[i].gone || e == nil || e.kernel == "" {
		if in.arch != "" {
			detail := fmt.Sprintf("%s architecture %s: this host not configured for booting.", asked, in.arch)
			return scriptAnswer{status: http.StatusNotFound, detail: detail}
		}
		script := fmt.Sprintf("#!ipxe\nsleep 10\nchain %s%s&arch=${buildarch}&ts=%d\n\n", scriptAddress, asked,
			s.wall(s.now()).Unix())
		return scriptAnswer{status: http.StatusOK, script: script}
	}
	c := &s.comps[i]
	s.bss.history[c.id] = s.wall(s.now())
	return scriptAnswer{status: http.StatusOK, entry: e, script: s.renderScript(in, i, e)}
}

func (s *Site) renderScript(in scriptQuery, i int32, e *bssEntry) string {
	params := s.scriptParams(in, i, e)
	var b strings.Builder
	b.Grow(len(params) + 1024)
	b.WriteString("#!ipxe\nkernel --name kernel ")
	b.WriteString(s.presigned(e.kernel))
	if e.initrd != "" {
		b.WriteString(" initrd=initrd")
	}
	b.WriteByte(' ')
	b.WriteString(params)
	b.WriteString(" || goto boot_retry\n")
	if e.initrd != "" {
		b.WriteString("initrd --name initrd ")
		b.WriteString(s.presigned(e.initrd))
		b.WriteString(" || goto boot_retry\n")
		if s.cfg.Flavour == Cray {
			b.WriteString("imgstat || echo Could not show image information.\n")
		}
	}
	b.WriteString("boot || goto boot_retry\n:boot_retry\nsleep 30\nchain ")
	b.WriteString(scriptAddress + "mac=" + macOf(i) + "&retry=1\n\n")
	return b.String()
}

// scriptParams puts the kernel's command line together.
func (s *Site) scriptParams(in scriptQuery, i int32, e *bssEntry) string {
	params := e.params
	if e.initrd != "" {
		params = cutInitrd(params)
	}
	for _, more := range []string{s.bss.kernels[e.kernel], s.bss.initrds[e.initrd]} {
		if more != "" {
			params += " " + more
		}
	}
	params = strings.ReplaceAll(params, "${SPIRE_JOIN_TOKEN}", uuid.NewString())
	for _, prefix := range []string{"metal.server=", "root=live:"} {
		if _, rest, ok := strings.Cut(params, prefix+"s3://"); ok {
			link, _, _ := strings.Cut(rest, " ")
			params = strings.Replace(params, "s3://"+link, s.presigned("s3://"+link), 1)
		}
	}
	extra := [][2]string{{"xname=", s.comps[i].id}, {"nid=", strconv.Itoa(int(s.comps[i].nid))}}
	if e.token != "" {
		extra = append(extra, [2]string{"bss_referral_token=", e.token})
	}
	if s.cfg.Flavour == OpenCHAMI && in.mac != "" {
		extra = append(extra, [2]string{"BOOTIF=", "01-" + strings.ReplaceAll(in.mac, ":", "-")})
	}
	extra = append(extra, [2]string{"ds=", "nocloud-net;s=10.92.100.81:8888/"})
	words := strings.Fields(params)
	for _, p := range extra {
		if !slices.ContainsFunc(words, func(word string) bool { return strings.HasPrefix(word, p[0]) }) {
			params += " " + p[0] + p[1]
		}
	}
	return params
}

// cutInitrd removes what BSS takes for the initrd parameter: from the first
// occurrence of the word, wherever it stands, to the next blank.
func cutInitrd(params string) string {
	before, rest, ok := strings.Cut(params, "initrd")
	if !ok {
		return params
	}
	if i := strings.IndexByte(rest, ' '); i >= 0 {
		return before + rest[i:]
	}
	return before
}

// presigned turns an s3 link into the address that a node can fetch; others stay
// as they are.
func (s *Site) presigned(link string) string {
	path, ok := strings.CutPrefix(link, "s3://")
	if !ok {
		return link
	}
	values := url.Values{
		"X-Amz-Algorithm":     {"AWS4-HMAC-SHA256"},
		"X-Amz-Credential":    {"simulated-access-key/20260101/default/s3/aws4_request"},
		"X-Amz-Expires":       {"86400"},
		"X-Amz-SignedHeaders": {"host"},
		"X-Amz-Signature":     {fmt.Sprintf("%064x", mix(uint64(len(path))))},
	}
	return "http://" + s.services["s3"].port.address() + "/" + path + "?" + values.Encode()
}

// bssHistory is GET /endpoint-history: when nodes last fetched a script.
func (s *Site) bssHistory(w http.ResponseWriter, q *req) {
	type seen struct {
		Name     string `json:"name"`
		Endpoint string `json:"endpoint"`
		Epoch    int64  `json:"last_epoch"`
	}
	const script = "bootscript"
	name, endpoint := q.URL.Query().Get("name"), q.URL.Query().Get("endpoint")
	open := s.cfg.Flavour == OpenCHAMI
	if name == "" && endpoint != "" && !open {
		problem(w, http.StatusInternalServerError, "Failed to search for name: , endpoint: "+endpoint)
		return
	}
	out := []seen{}
	s.mu.Lock()
	if name != "" {
		at, ok := s.bss.history[name]
		switch {
		case ok && (endpoint == "" || endpoint == script):
			out = append(out, seen{name, script, at.Unix()})
		case endpoint != "" && !open:
			out = append(out, seen{name, endpoint, 0})
		}
	} else {
		for _, n := range slices.Sorted(maps.Keys(s.bss.history)) {
			out = append(out, seen{n, script, s.bss.history[n].Unix()})
		}
	}
	s.mu.Unlock()
	reply(w, http.StatusOK, typeBSS, out)
}
