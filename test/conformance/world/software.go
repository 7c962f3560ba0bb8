// SPDX-License-Identifier: MIT

package world

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// tokenRule finds a token in kernel parameters.
var tokenRule = regexp.MustCompile(`(?:^|\s)bss_referral_token=(\S+)`)

// ownToken finds the token that BOS put into kernel parameters itself.
func ownToken(params string) string {
	m := tokenRule.FindStringSubmatch(params)
	if m == nil {
		return ""
	}
	return m[1]
}

// bootParameters is the boot script service.
func (w *World) bootParameters(r request) answer {
	if r.path != "/boot/v1/bootparameters" || r.method != http.MethodPut {
		return say(http.StatusNotFound, map[string]any{})
	}
	body := mapping(r.body)
	token := uuid.NewString()
	seen := token
	if params := body["params"]; truth(params) {
		// As the real one does: a token that is already in the parameters is the
		// one that the node sees.
		if own := ownToken(text(params)); own != "" {
			seen = own
		}
	}
	if hosts, ok := body["hosts"]; ok {
		for _, host := range list(hosts) {
			w.bss[text(host)] = map[string]any{"token": seen, "kernel": body["kernel"], "initrd": body["initrd"], "params": body["params"]}
		}
	}
	return answer{status: http.StatusOK, header: map[string]string{"Bss-Referral-Token": token}}
}

// pageSize is how many nodes CFS shows at once unless it is asked for less.
const pageSize = 1000

// configuration is the configuration framework.
func (w *World) configuration(r request) answer {
	if strings.TrimRight(r.path, "/") == "/v3/components" {
		switch r.method {
		case http.MethodGet:
			return w.configurations(r)
		case http.MethodPatch:
			return w.configure(mapping(r.body))
		}
	}
	return say(http.StatusNotFound, map[string]any{})
}

func (w *World) configurations(r request) answer {
	asked, some := r.query["ids"]
	keys := slices.Sorted(maps.Keys(w.cfs))
	if some {
		keys = slices.DeleteFunc(strings.Split(asked[0], ","), func(id string) bool { return w.cfs[id] == nil })
		slices.Sort(keys)
	}
	limit, err := strconv.Atoi(strings.TrimSpace(first(r, "limit", strconv.Itoa(pageSize))))
	if err != nil || limit < 1 {
		panic(http.ErrAbortHandler)
	}
	after := first(r, "after_id", "")
	keys = slices.DeleteFunc(keys, func(id string) bool { return id <= after })
	page := keys[:min(limit, len(keys))]
	var next any
	if len(keys) > limit {
		m := map[string]any{"limit": json.Number(strconv.Itoa(limit)), "after_id": page[len(page)-1]}
		if some {
			m["ids"] = asked[0]
		}
		next = m
	}
	components := []any{}
	for _, id := range page {
		components = append(components, w.cfs[id])
	}
	return say(http.StatusOK, map[string]any{"components": components, "next": next})
}

func (w *World) configure(body map[string]any) answer {
	ids := strings.Split(text(needed(mapping(needed(body, "filters")), "ids")), ",")
	for _, id := range ids {
		c, ok := w.cfs[id]
		if !ok {
			continue
		}
		patch := mapping(needed(body, "patch"))
		maps.Copy(c, patch)
		_, state := patch["state"]
		_, desired := patch["desired_config"]
		if state || desired {
			c["configuration_status"] = "unconfigured"
			if truth(c["desired_config"]) {
				c["configuration_status"] = "pending"
			}
		}
		c["error_count"] = json.Number("0")
		w.kick(id)
	}
	return say(http.StatusOK, map[string]any{"component_ids": ids})
}

// last is what is after the last slash.
func last(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// image is the image management service.
func (w *World) image(r request) answer {
	id := last(r.path)
	image := w.images[id]
	if image == nil {
		return answer{status: http.StatusNotFound, media: typeProblem, body: map[string]any{
			"title": "Image not found", "detail": "Requested image does not exist. Re-run request with valid ID.", "status": json.Number("404"),
		}}
	}
	m, isMap := image.(map[string]any)
	if status, ok := m["__status__"]; ok {
		body, ok := m["__body__"]
		if !ok {
			body = map[string]any{"title": "error", "status": status}
		}
		return say(int(number(status)), body)
	}
	switch r.method {
	case http.MethodGet:
		if raw, ok := m["__raw__"]; ok {
			return say(http.StatusOK, raw)
		}
		return say(http.StatusOK, image)
	case http.MethodPatch:
		if change := optional(optional(r.body)["metadata"]); len(change) > 0 && isMap {
			tag(m, change)
		}
		return say(http.StatusOK, image)
	}
	return say(http.StatusMethodNotAllowed, map[string]any{})
}

// tag changes the metadata of an image.
func tag(image, change map[string]any) {
	if _, ok := image["metadata"]; !ok {
		image["metadata"] = map[string]any{}
	}
	tags := mapping(image["metadata"])
	operation, key := text(needed(change, "operation")), text(needed(change, "key"))
	if operation != "set" {
		delete(tags, key)
		return
	}
	value, ok := change["value"]
	if !ok {
		value = ""
	}
	tags[key] = value
}

// tenant is the tenants' service.
func (w *World) tenant(r request) answer {
	name := last(r.path)
	tenants, _ := w.doc["tenants"].(map[string]any)
	t := tenants[name]
	if t == nil {
		return say(http.StatusNotFound, map[string]any{"message": "tenant not found"})
	}
	resources := []any{map[string]any{"type": "compute", "xnames": t}}
	if l, ok := t.([]any); ok && len(l) > 0 {
		if _, ok := l[0].(map[string]any); ok {
			resources = l
		}
	}
	return say(http.StatusOK, map[string]any{
		"spec":   map[string]any{"tenantname": name, "state": "Deployed"},
		"status": map[string]any{"uuid": "00000000-0000-0000-0000-000000000000", "tenantresources": resources},
	})
}

// object is S3, with the bucket in the path and without a look at signatures.
func (w *World) object(r request) answer {
	name := "s3:/" + r.path
	objects, _ := w.doc["s3"].(map[string]any)
	object := objects[name]
	if object == nil {
		a := answer{status: http.StatusNotFound, plain: true, media: "application/xml"}
		if r.method != http.MethodHead {
			a.raw = []byte(`<?xml version="1.0" encoding="UTF-8"?><Error><Code>NoSuchKey</Code></Error>`)
		}
		return a
	}
	m, _ := object.(map[string]any)
	if status, ok := m["__status__"]; ok {
		return answer{status: int(number(status)), plain: true}
	}
	data := w.objects[name]
	if size, ok := m["__size__"]; ok {
		data = slices.Repeat([]byte(" "), int(number(size)))
	} else if t, ok := m["__text__"]; ok {
		data = []byte(text(t))
	} else if b, ok := m["__base64__"]; ok {
		var err error
		if data, err = base64.StdEncoding.DecodeString(text(b)); err != nil {
			panic(http.ErrAbortHandler)
		}
	}
	etag, _ := m["__etag__"].(string)
	if etag == "" {
		sum := md5.Sum(data)
		etag = hex.EncodeToString(sum[:])
	}
	return answer{
		status: http.StatusOK, raw: data, plain: true, media: "application/octet-stream",
		header: map[string]string{"ETag": `"` + etag + `"`, "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"},
	}
}
