// SPDX-License-Identifier: MIT

package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"bos/internal/api/front"
	"bos/internal/bos"
)

// call is a request that has passed the contract's checks.
type call struct {
	id     string
	path   map[string]string
	params front.Params
	body   []byte
}

func (c call) key() bos.SessionKey {
	return bos.SessionKey{Tenant: c.params.Tenant(), Name: cmp.Or(c.path["session_id"], c.path["session_template_id"])}
}

// fake is the API over maps, with the rules of package bos: as much of it as
// the command line can tell apart from the real one.
type fake struct {
	components map[string]bos.Record
	sessions   map[bos.SessionKey]bos.SessionRecord
	templates  map[bos.SessionKey]bos.Template
	options    bos.Options
}

// newFake returns an empty API. One request at a time is made to it.
func newFake() func(call) (int, any) {
	f := &fake{
		components: map[string]bos.Record{}, sessions: map[bos.SessionKey]bos.SessionRecord{},
		templates: map[bos.SessionKey]bos.Template{}, options: bos.DefaultOptions(),
	}
	return func(c call) (int, any) {
		status, answer, err := f.answer(c)
		if err == nil {
			return status, answer
		}
		switch bos.CodeOf(err) {
		case bos.CodeNotFound:
			return http.StatusNotFound, problem(http.StatusNotFound, "The resource was not found", bos.UserText(err))
		case bos.CodeConflict:
			return http.StatusConflict, problem(http.StatusConflict, "The resource to be created already exists", bos.UserText(err))
		}
		return http.StatusBadRequest, problem(http.StatusBadRequest, "Bad Request", err.Error())
	}
}

func (f *fake) answer(c call) (int, any, error) {
	switch {
	case strings.Contains(c.id, "component"):
		return f.component(c)
	case strings.Contains(c.id, "sessiontemplate"):
		return f.template(c)
	case strings.Contains(c.id, "session"):
		return f.session(c)
	}
	switch c.id {
	case "get_version_v2", "v2_get":
		return http.StatusOK, map[string]any{"major": "2", "minor": "50", "patch": "0", "links": []any{}}, nil
	case "get_healthz_v2":
		return http.StatusOK, map[string]string{"dbStatus": "ok", "apiStatus": "ok"}, nil
	case "get_v2_options":
		return http.StatusOK, f.options, nil
	case "patch_v2_options":
		changed, unknown, err := f.options.Patch(c.body)
		if err != nil {
			return 0, nil, err
		}
		f.options = changed
		echo, err := changed.Echo(unknown)
		return http.StatusOK, echo, err
	case "post_v2_apply_staged":
		return f.applyStaged(c)
	}
	return 0, nil, fmt.Errorf("the fake does not have %s", c.id)
}

// shown is a component as GET shows it.
func shownComponent(r bos.Record) json.RawMessage { return r.Component.AppendView(nil) }

func (f *fake) component(c call) (int, any, error) {
	id := c.path["component_id"]
	old, known := f.components[id]
	if !known && id != "" && c.id != "put_v2_component" {
		return 0, nil, noComponent(id)
	}
	write := bos.Write{Now: testTime, Tenant: c.params.Tenant()}
	switch c.id {
	case "get_v2_components":
		return http.StatusOK, f.find(c), nil
	case "get_v2_component":
		return http.StatusOK, shownComponent(old), nil
	case "put_v2_component":
		var doc bos.Component
		if err := json.Unmarshal(c.body, &doc); err != nil {
			return 0, nil, err
		}
		doc.ID = id
		f.components[id] = write.Put(nil, doc)
		return http.StatusOK, f.components[id].Component, nil
	case "patch_v2_component":
		var doc bos.Component
		if err := json.Unmarshal(c.body, &doc); err != nil {
			return 0, nil, err
		}
		f.components[id] = write.Patch(old, doc)
		return http.StatusOK, f.components[id].Component, nil
	case "delete_v2_component":
		delete(f.components, id)
		return http.StatusNoContent, nil, nil
	case "patch_v2_components":
		return f.patchMany(c, write)
	}
	return 0, nil, fmt.Errorf("the fake does not have %s", c.id)
}

func noComponent(id string) error {
	return bos.Errorf(bos.CodeNotFound, "Component '%s' does not exist", id)
}

// find lists the components that pass the filters of a query.
func (f *fake) find(c call) []json.RawMessage {
	is := func(name, value string) bool {
		want, sent := c.params.String(name)
		return !sent || want == "" || slices.Contains(strings.Split(want, ","), value)
	}
	list := []json.RawMessage{}
	after, _ := c.params.String("start_after_id")
	size, _ := c.params.Int("page_size")
	for _, id := range slices.Sorted(maps.Keys(f.components)) {
		r := f.components[id]
		one := &r.Component
		enabled, filtered := c.params.Bool("enabled")
		if is("ids", id) && is("session", one.Session.Value()) && is("staged_session", one.StagedSession()) &&
			is("phase", string(one.Status.Value().Phase.Value())) && is("status", string(one.StatusNow())) &&
			(!filtered || one.Enabled == bos.Some(enabled)) && id > after && (size == 0 || len(list) < size) {
			list = append(list, shownComponent(r))
		}
	}
	return list
}

// patchMany changes many components in either form of the request.
func (f *fake) patchMany(c call, write bos.Write) (int, any, error) {
	var list []bos.Component
	if json.Unmarshal(c.body, &list) != nil {
		var filtered struct {
			Patch   bos.Component
			Filters struct{ IDs, Session string }
		}
		if err := json.Unmarshal(c.body, &filtered); err != nil {
			return 0, nil, err
		}
		var ids []string
		for id, r := range f.components {
			if s := filtered.Filters.Session; s != "" && r.Component.Session.Value() == s {
				ids = append(ids, id)
			}
		}
		if filtered.Filters.IDs != "" {
			ids = strings.Split(filtered.Filters.IDs, ",")
		}
		slices.Sort(ids)
		for _, id := range ids {
			filtered.Patch.ID = id
			list = append(list, filtered.Patch)
		}
	}
	skip, _ := c.params.Bool("skip_bad_ids")
	changed := []bos.Component{}
	for _, one := range list {
		old, known := f.components[one.ID]
		if !known && !skip {
			return 0, nil, noComponent(one.ID)
		}
		if known {
			f.components[one.ID] = write.Patch(old, one)
			changed = append(changed, f.components[one.ID].Component)
		}
	}
	return http.StatusOK, changed, nil
}

func (f *fake) template(c call) (int, any, error) {
	if c.id == "get_v2_sessiontemplates" {
		list := []bos.Template{}
		for _, key := range slices.SortedFunc(maps.Keys(f.templates), bos.SessionKey.Compare) {
			if tenant := c.params.Tenant(); tenant == "" || tenant == key.Tenant {
				list = append(list, f.templates[key])
			}
		}
		return http.StatusOK, list, nil
	}
	if c.id == "get_v2_sessiontemplatetemplate" {
		return http.StatusOK, json.RawMessage(`{"enable_cfs": true, "boot_sets": {"name_your_boot_set": {
			"path": "s3://boot-images/boot-image-ims-id/manifest.json", "type": "s3", "node_list": ["xname1"]}}}`), nil
	}
	key := c.key()
	old, known := f.templates[key]
	if !known && c.id != "put_v2_sessiontemplate" {
		return 0, nil, bos.Errorf(bos.CodeNotFound, "%s", bos.NotFoundText("Session template", key))
	}
	switch c.id {
	case "get_v2_sessiontemplate":
		return http.StatusOK, old, nil
	case "get_v2_sessiontemplatesvalid":
		return http.StatusOK, "Valid", nil
	case "put_v2_sessiontemplate":
		var doc bos.Template
		if err := json.Unmarshal(c.body, &doc); err != nil {
			return 0, nil, err
		}
		f.templates[key] = doc.Sanitize(key.Name, key.Tenant)
		return http.StatusOK, f.templates[key], nil
	case "patch_v2_sessiontemplate":
		var patch bos.TemplatePatch
		if err := json.Unmarshal(c.body, &patch); err != nil {
			return 0, nil, err
		}
		f.templates[key] = old.Patch(patch)
		return http.StatusOK, f.templates[key], nil
	case "delete_v2_sessiontemplate":
		delete(f.templates, key)
		return http.StatusNoContent, nil, nil
	}
	return 0, nil, fmt.Errorf("the fake does not have %s", c.id)
}

func (f *fake) applyStaged(c call) (int, any, error) {
	var request struct{ Xnames []string }
	if err := json.Unmarshal(c.body, &request); err != nil {
		return 0, nil, err
	}
	result := map[bos.StagedOutcome][]string{"succeeded": {}, "failed": {}, "ignored": {}}
	write := bos.Write{Now: testTime, Tenant: c.params.Tenant()}
	for _, id := range request.Xnames {
		old, known := f.components[id]
		outcome := bos.StagedOutcome("ignored")
		if known {
			f.components[id], outcome = write.ApplyStaged(old, f.options.ClearStage,
				func(key bos.SessionKey) (bos.Operation, bool) {
					r, ok := f.sessions[key]
					return r.Session.Operation, ok
				})
		}
		result[outcome] = append(result[outcome], id)
	}
	return http.StatusOK, result, nil
}
