// SPDX-License-Identifier: MIT

package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"io/fs"
	"net/http"
	"path"
	"time"
)

// asset is a file that pages use.
type asset struct {
	data []byte
	kind string
	// version is another one whenever the file is.
	version string
}

// kinds are the media types of the files, by the ends of their names.
func kinds() map[string]string {
	return map[string]string{
		".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
		".LICENSE": "text/plain; charset=utf-8",
	}
}

func loadAssets(all fs.FS) (map[string]asset, error) {
	entries, err := fs.ReadDir(all, "static")
	if err != nil {
		return nil, err
	}
	out := map[string]asset{}
	for _, entry := range entries {
		name := entry.Name()
		data, err := fs.ReadFile(all, path.Join("static", name))
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(data)
		out[name] = asset{data: data, kind: kinds()[path.Ext(name)], version: base64.RawURLEncoding.EncodeToString(sum[:9])}
	}
	return out, nil
}

// sendAsset answers with a file. One that was asked for with its version never
// changes.
func (s *site) sendAsset(v *visit) error {
	a, ok := s.static[v.r.PathValue("file")]
	if !ok {
		return notFound()
	}
	h := v.w.Header()
	h.Set("Content-Type", a.kind)
	h.Set("ETag", `"`+a.version+`"`)
	h.Set("Cache-Control", "no-cache")
	if v.r.URL.Query().Get("v") == a.version {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	http.ServeContent(v.w, v.r, "", time.Time{}, bytes.NewReader(a.data))
	return nil
}

// assetPath is where a page finds a file, from the root of the pages.
func (s *site) assetPath(name string) string {
	return "static/" + name + "?v=" + s.static[name].version
}
