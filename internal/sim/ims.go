// SPDX-License-Identifier: MIT

package sim

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

func (s *Site) addIMS(svc *service) {
	svc.prefixes = []string{"/v3", "/v2"}
	svc.notFound = func(w http.ResponseWriter, _ *req) {
		imsProblem(w, http.StatusNotFound, "The requested URL was not found on the server. "+
			"If you entered the URL manually please check your spelling and try again.", nil)
	}
	svc.notAllowed = func(w http.ResponseWriter, _ *req, allowed []string) {
		const text = "The method is not allowed for the requested URL."
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		reply(w, http.StatusMethodNotAllowed, typeJSON, map[string]any{
			"message": text, "status": http.StatusMethodNotAllowed, "title": "Method Not Allowed", "detail": text,
		})
	}
	svc.routes = []route{
		{"GET", "/images", s.imsList},
		{"GET", "/images/*", s.imsGet},
		{"PATCH", "/images/*", s.imsPatch},
		{"DELETE", "/images/*", s.imsDelete},
		{"GET", "/deleted/images", s.imsListDeleted},
		{"GET", "/deleted/images/*", s.imsGetDeleted},
	}
}

// imsProblem is an error answer of IMS: a problem without a type.
func imsProblem(w http.ResponseWriter, status int, detail string, fields map[string]any) {
	body := struct {
		Status int            `json:"status"`
		Title  string         `json:"title"`
		Detail string         `json:"detail"`
		Errors map[string]any `json:"errors,omitempty"`
	}{status, http.StatusText(status), detail, fields}
	reply(w, status, typeProblem, body)
}

func imsMissing(w http.ResponseWriter) {
	imsProblem(w, http.StatusNotFound, "Requested resource does not exist. Re-run request with valid ID.", nil)
}

// findImage returns the image with this id, nil for none. The lock must be held.
func (s *Site) findImage(id string, deleted bool) *image {
	i := slices.IndexFunc(s.images, func(img *image) bool { return img.ID == id && img.deleted == deleted })
	if i < 0 {
		return nil
	}
	return s.images[i]
}

// imsList is GET /images.
func (s *Site) imsList(w http.ResponseWriter, _ *req) { s.listImages(w, false) }

// imsListDeleted is GET /deleted/images.
func (s *Site) imsListDeleted(w http.ResponseWriter, _ *req) { s.listImages(w, true) }

func (s *Site) listImages(w http.ResponseWriter, deleted bool) {
	out := []json.RawMessage{}
	s.mu.Lock()
	for _, img := range s.images {
		if img.deleted == deleted {
			out = append(out, img.shown())
		}
	}
	s.mu.Unlock()
	reply(w, http.StatusOK, typeJSON, out)
}

// imsGet is GET /images/{id}.
func (s *Site) imsGet(w http.ResponseWriter, q *req) { s.showImage(w, q, false) }

// imsGetDeleted is GET /deleted/images/{id}.
func (s *Site) imsGetDeleted(w http.ResponseWriter, q *req) { s.showImage(w, q, true) }

func (s *Site) showImage(w http.ResponseWriter, q *req, deleted bool) {
	s.mu.Lock()
	var out json.RawMessage
	if img := s.findImage(q.args[0], deleted); img != nil {
		out = img.shown()
	}
	s.mu.Unlock()
	if out == nil {
		imsMissing(w)
		return
	}
	replyBytes(w, http.StatusOK, typeJSON, out)
}

// imsDelete is DELETE /images/{id}: the image can be seen among the deleted
// ones from then on.
func (s *Site) imsDelete(w http.ResponseWriter, q *req) {
	s.mu.Lock()
	img := s.findImage(q.args[0], false)
	if img != nil {
		img.deleted = true
		s.deleteArtifacts(img.ID)
		if img.Link != nil {
			moved := *img.Link
			moved.Path = strings.Replace(moved.Path, bucket+"/", bucket+"/deleted/", 1)
			img.Link = &moved
		}
	}
	s.mu.Unlock()
	if img == nil {
		imsMissing(w)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// imsChange is a checked PATCH of an image.
type imsChange struct {
	arch     string
	link     *link
	metadata *metadataChange
}

// metadataChange sets or removes one key.
type metadataChange struct {
	remove     bool
	key, value string
}

// imsPatch is PATCH /images/{id}.
func (s *Site) imsPatch(w http.ResponseWriter, q *req) {
	s.mu.Lock()
	known := s.findImage(q.args[0], false) != nil
	s.mu.Unlock()
	if !known {
		imsMissing(w)
		return
	}
	c, ok := readIMSChange(w, q.body)
	if !ok {
		return
	}
	s.mu.Lock()
	img := s.findImage(q.args[0], false)
	var out json.RawMessage
	conflict := false
	if img != nil {
		conflict = c.link != nil && (img.Link == nil || *img.Link != *c.link)
		if !conflict {
			img.apply(c)
		}
		out = img.shown()
	}
	s.mu.Unlock()
	switch {
	case out == nil:
		imsMissing(w)
	case conflict:
		imsProblem(w, http.StatusConflict, "Requested resource exists, but cannot be patched due to a patch conflict. "+
			"Re-run request with valid input values.", nil)
	default:
		replyBytes(w, http.StatusOK, typeJSON, out)
	}
}

func (img *image) apply(c *imsChange) {
	if c.arch != "" {
		img.Arch = c.arch
	}
	if m := c.metadata; m != nil {
		if m.remove {
			delete(img.Metadata, m.key)
		} else {
			img.Metadata[m.key] = m.value
		}
	}
}

// readIMSChange checks the body of a PATCH the way IMS does, and answers where it
// is wrong.
func readIMSChange(w http.ResponseWriter, body []byte) (*imsChange, bool) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		reply(w, http.StatusBadRequest, typeJSON, map[string]string{"message": "Failed to decode JSON object: " + err.Error()})
		return nil, false
	}
	if len(fields) == 0 {
		imsProblem(w, http.StatusBadRequest, "No input provided. Determine the specific information that is missing or "+
			"invalid and then re-run the request with valid information.", nil)
		return nil, false
	}
	c, wrong := &imsChange{}, map[string]any{}
	for key, raw := range fields {
		switch key {
		case "metadata":
			m, bad := readMetadata(raw)
			if len(bad) > 0 {
				wrong[key] = bad
			}
			c.metadata = m
		case "arch":
			if json.Unmarshal(raw, &c.arch) != nil || c.arch != "x86_64" && c.arch != "aarch64" {
				wrong[key] = []string{"Must be one of: aarch64, x86_64."}
			}
		case "link":
			if json.Unmarshal(raw, &c.link) != nil {
				wrong[key] = []string{"Invalid input type."}
			}
		default:
			wrong[key] = []string{"Unknown field."}
		}
	}
	if len(wrong) > 0 {
		imsProblem(w, http.StatusUnprocessableEntity, "Input data was understood, but failed validation. "+
			"Re-run request with valid input values for the fields indicated in the response.", wrong)
		return nil, false
	}
	return c, true
}

// readMetadata checks one metadata operation and returns what is wrong with each
// of its fields.
func readMetadata(raw json.RawMessage) (*metadataChange, map[string]any) {
	wrong := map[string]any{}
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return nil, map[string]any{"_schema": []string{"Invalid input type."}}
	}
	m := &metadataChange{}
	read := func(key string, into *string, required bool) {
		raw, given := fields[key]
		switch {
		case !given && required:
			wrong[key] = []string{"Missing data for required field."}
		case given && json.Unmarshal(raw, into) != nil:
			wrong[key] = []string{"Not a valid string."}
		}
	}
	op := ""
	read("operation", &op, true)
	read("key", &m.key, true)
	read("value", &m.value, false)
	if wrong["operation"] == nil && op != "set" && op != "remove" {
		wrong["operation"] = []string{"Must be one of: set, remove."}
	}
	m.remove = op == "remove"
	return m, wrong
}
