// SPDX-License-Identifier: MIT

package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"
)

// newSource returns the source of a key set: a URL, or else a file.
func newSource(location string, client *http.Client) source {
	if strings.HasPrefix(location, "https://") || strings.HasPrefix(location, "http://") {
		return &urlSource{location, client}
	}
	return &fileSource{path: location}
}

// urlSource fetches a key set by HTTP.
type urlSource struct {
	url    string
	client *http.Client
}

func (s *urlSource) fetch(ctx context.Context, _ bool) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, errors.New("the address of the keys is not a URL")
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	res, err := s.client.Do(req)
	if err != nil {
		// What is left of the error without the address, which is said already.
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err
		}
		return nil, fmt.Errorf("get %s: %w", s.url, err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("get %s: %s", s.url, res.Status)
	}
	raw, err := readAtMost(res.Body, maxKeys)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", s.url, err)
	}
	return raw, nil
}

// readAtMost reads something of at most limit bytes.
func readAtMost(r io.Reader, limit int64) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(raw)) > limit {
		err = fmt.Errorf("it is larger than %d bytes", limit)
	}
	return raw, err
}

// fileSource reads a key set from a file when that has changed.
type fileSource struct {
	path string
	last fs.FileInfo
}

func (s *fileSource) fetch(_ context.Context, anew bool) ([]byte, error) {
	info, err := os.Stat(s.path)
	if err != nil {
		return nil, fmt.Errorf("look at the keys: %w", err)
	}
	if !anew && s.last != nil && os.SameFile(s.last, info) && s.last.ModTime().Equal(info.ModTime()) && s.last.Size() == info.Size() {
		return nil, nil
	}
	f, err := os.Open(s.path)
	if err != nil {
		return nil, fmt.Errorf("read the keys: %w", err)
	}
	raw, err := readAtMost(f, maxKeys)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("read the keys in %s: %w", s.path, err)
	}
	s.last = info
	return raw, nil
}
