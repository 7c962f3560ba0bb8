// SPDX-License-Identifier: MIT

package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// barePrefix is what the bare handler's process writes before its address.
const barePrefix = "bare handler at "

// maxBare bounds what the bare handler is given to write.
const maxBare = 1 << 30

// ServeBare serves the least that an HTTP server can do, until ctx ends: bytes
// that were PUT at a path are what GET answers there. It is the limit for reads,
// and a process of its own as the server is. out gets its address.
func ServeBare(ctx context.Context, out io.Writer) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for the bare handler: %w", err)
	}
	server := &http.Server{Handler: &bare{bodies: map[string][]byte{}}, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if _, err := fmt.Fprintf(out, "%shttp://%s\n", barePrefix, listener.Addr()); err != nil {
		return errors.Join(err, listener.Close())
	}
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the bare handler: %w", err)
	}
	return nil
}

// bare writes bytes.
type bare struct {
	mu     sync.RWMutex
	bodies map[string][]byte
}

// ServeHTTP takes bytes, or writes them.
func (b *bare) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPut {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBare))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		b.mu.Lock()
		// One body at a time: the next row's takes the place of the last one's.
		b.bodies = map[string][]byte{r.URL.Path: body}
		b.mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
		return
	}
	b.mu.RLock()
	body, ok := b.bodies[r.URL.Path]
	b.mu.RUnlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}
