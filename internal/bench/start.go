// SPDX-License-Identifier: MIT

package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	// startTimeout is how long a process may take until it answers.
	startTimeout = 2 * time.Minute
	// discoveryTimeout is how long the server may take to find all nodes.
	discoveryTimeout = 10 * time.Minute
	// discoveryPause is the pause between two counts of what it has found.
	discoveryPause = 500 * time.Millisecond
)

// start brings up what is measured and what it is compared with.
func (r *run) start(ctx context.Context) error {
	r.say("starting")
	bare, err := r.launch("bare", "bench", "bare")
	if err != nil {
		return err
	}
	var address string
	err = until(ctx, bare, startTimeout, lookPause, func() (found bool, err error) {
		address, found = bare.printed(barePrefix)
		return found, nil
	})
	if err != nil {
		return err
	}
	r.bare = newTarget("bare handler", address)
	if r.cfg.URL != "" {
		r.bos, r.pid = newTarget("BOS", r.cfg.URL), r.cfg.PID
		if r.cfg.Site != "" {
			r.site = newTarget("simulated site", r.cfg.Site)
		}
	} else if err := r.serve(ctx); err != nil {
		return err
	}
	if r.site == nil {
		r.ids = fleetIDs(r.nodes)
	} else if r.ids, err = r.discovered(ctx); err != nil {
		return err
	}
	r.docs = document(r.ids)
	r.say("filling the raw store")
	r.raw, err = openRaw(ctx, r.dir, r.ids, r.docs, r.cfg.Log)
	return err
}

// launch starts the program with some arguments.
func (r *run) launch(name string, args ...string) (*process, error) {
	p, err := start(r.dir, name, r.cfg.Program, args...)
	if err != nil {
		return nil, err
	}
	r.started = append(r.started, p)
	return p, nil
}

// serve starts a simulated site and a server that lives on it.
func (r *run) serve(ctx context.Context) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	listen := "127.0.0.1:" + strconv.Itoa(port)
	base := "http://" + listen + "/apis/bos"
	site, err := r.launch("site", "simulate", "--nodes", strconv.Itoa(r.nodes), "--site-listen", "127.0.0.1:0",
		"--time-scale", strconv.FormatFloat(r.cfg.TimeScale, 'g', -1, 64), "--report-url", base)
	if err != nil {
		return err
	}
	var control string
	err = until(ctx, site, startTimeout, lookPause, func() (found bool, err error) {
		control, found = site.printed("break it: ")
		return found, nil
	})
	if err != nil {
		return err
	}
	r.site = newTarget("simulated site", strings.TrimSuffix(control, "/sim/state"))
	var state siteState
	if err := r.site.into(ctx, "/sim/state", &state); err != nil {
		return err
	}
	u := state.URLs
	server, err := r.launch("server", "serve", "--listen", listen, "--data-dir", filepath.Join(r.dir, "data"),
		"--hsm-url", u.HSM, "--pcs-url", u.PCS, "--bss-url", u.BSS, "--cfs-url", u.CFS, "--ims-url", u.IMS, "--tapms-url", u.TAPMS,
		"--s3-protocol", "http", "--s3-gateway", u.S3Endpoint, "--s3-access-key", u.S3AccessKey, "--s3-secret-key", u.S3SecretKey,
		"--auth", "none")
	if err != nil {
		return err
	}
	r.server = server
	r.bos, r.pid = newTarget("BOS", base), server.pid()
	err = until(ctx, server, startTimeout, lookPause, func() (bool, error) {
		err := r.bos.do(ctx, http.MethodGet, "/v2/options", nil, discard)
		return err == nil, err
	})
	return err
}

// discovered waits until the server has found all nodes of the site and returns
// their names.
func (r *run) discovered(ctx context.Context) ([]string, error) {
	r.say("waiting until all nodes are discovered")
	var state siteState
	if err := r.site.into(ctx, "/sim/state", &state); err != nil {
		return nil, err
	}
	if state.Counts.Nodes != r.nodes {
		return nil, fmt.Errorf("the simulated site has %d nodes", state.Counts.Nodes)
	}
	var ids []string
	err := until(ctx, nil, discoveryTimeout, discoveryPause, func() (bool, error) {
		var list []struct {
			ID string `json:"id"`
		}
		if err := r.bos.into(ctx, "/v2/components", &list); err != nil {
			return false, err
		}
		ids = ids[:0]
		for _, c := range list {
			ids = append(ids, c.ID)
		}
		return len(ids) >= r.nodes, fmt.Errorf("%d of %d nodes were discovered", len(ids), r.nodes)
	})
	if err != nil {
		return nil, err
	}
	return ids, nil
}

// fill stores a component of usual size for every node.
func (r *run) fill(ctx context.Context) error {
	r.say("filling the server")
	if r.site == nil {
		var list []struct {
			ID string `json:"id"`
		}
		if err := r.bos.into(ctx, "/v2/components?page_size=1", &list); err != nil {
			return err
		}
		if len(list) > 0 && list[0].ID != r.ids[0] {
			return errors.New("the service has components already; a benchmark without a simulated site needs an empty one")
		}
	}
	for from := 0; from < len(r.ids); from += bulk {
		body, err := putBody(r.docs, from, min(bulk, len(r.ids)-from), 0)
		if err != nil {
			return err
		}
		if err := r.bos.send(ctx, http.MethodPut, "/v2/components", body); err != nil {
			return err
		}
	}
	return nil
}

// clearWorkers is how many components are deleted at once.
const clearWorkers = 8

// clear removes the components of a service that was there before.
func (r *run) clear(ctx context.Context) error {
	if r.cfg.URL == "" || r.site != nil {
		return nil
	}
	r.say("removing the components")
	_, err := rate(ctx, clearWorkers, len(r.ids), func(ctx context.Context, _, i int) error {
		return r.bos.send(ctx, http.MethodDelete, "/v2/components/"+r.ids[i], nil)
	})
	return err
}
