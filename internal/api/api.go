// SPDX-License-Identifier: MIT

// Package api serves the HTTP API of the service: it routes requests, has them
// checked by the front, keeps tenants apart, reads from the view and writes to
// the store. The contract is in openapi.yaml beside it.
//
// Every read first brings the view to a revision no older than the request, so
// that nobody is shown what was replaced before they asked. Every write is a
// compare-and-swap: of writers at the same moment none is lost.
package api

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"bos/internal/api/front"
	"bos/internal/bos"
	"bos/internal/clock"
	"bos/internal/events"
	"bos/internal/store"
	"bos/internal/view"
)

// DefaultPrefix is where the API is served beside the root, so that clients may
// come through a gateway or directly.
const DefaultPrefix = "/apis/bos"

//go:embed openapi.yaml
var document []byte

// Images tells what is known of the image of a boot set, from S3 and IMS. What
// could not be found out is said in the facts. It must be safe for concurrent
// use.
type Images interface {
	Facts(ctx context.Context, set *bos.BootSet) bos.BootSetFacts
	// Resolve returns a boot set with the manifest of its IMS image, if it names
	// one. The error has [bos.CodeInvalid] if that can't be, and
	// [bos.CodeUnavailable] if IMS could not be asked.
	Resolve(ctx context.Context, set bos.BootSet) (bos.BootSet, error)
}

// Tenants tells which nodes a tenant has; what it says may be as old as the site
// allows, by default no older than a request that was under way already.
// The error has [bos.CodeNotFound] for a tenant that does not exist,
// [bos.CodeUnavailable] if nobody could be asked, and [bos.CodeInvalid] if the
// answer was a refusal. It must be safe for concurrent use.
type Tenants interface {
	Cached(ctx context.Context, name string) ([]string, error)
}

// Config is what the API works with. Store, View, Clock, Images, Explain and
// Plan are needed.
type Config struct {
	Store *store.Store
	// View is fed by somebody else from the same store; until it is ready the
	// API answers 503.
	View  *view.View
	Clock *clock.Clock
	// Images is asked when templates are written and checked.
	Images Images
	// Tenants is nil at a site without tenants. There is no tenant there: a
	// request that names one is answered like one that names an unknown tenant.
	Tenants Tenants
	// Explain tells of a component where it is and whose turn it is; session is the
	// one that it belongs to, nil if there is none. It must be safe for concurrent
	// use and may ask services for a moment.
	Explain func(ctx context.Context, rec *bos.Record, session *bos.SessionRecord) bos.Why
	// Plan tells what a session would do that nobody has created. The error has
	// [bos.CodeUnavailable] while a service is away that set-up would ask. It must
	// be safe for concurrent use.
	Plan func(ctx context.Context, s *bos.Session) (bos.SessionPlan, error)
	// Events take what clients make happen; nil takes nothing.
	Events *events.Recorder
	// Closing is closed when streams are to end, before the server shuts down; nil
	// never is.
	Closing <-chan struct{}
	// Prefix is where every path is served beside the root; "" means
	// [DefaultPrefix].
	Prefix string
	// ProxyPath is put in front of the paths in links when a request came
	// through a proxy (it has X-Forwarded-For).
	ProxyPath string
	// Metrics serves /metrics; nil serves none.
	Metrics http.Handler
	// Access is nil where everybody may do everything.
	Access Access
	// Limits bound what clients can take.
	Limits Limits
	// Trail takes what was changed by whom; nil is none.
	Trail Trail
	// Refused is told of each request that is refused for its rate or for the
	// requests at the same moment, for metrics; nil tells nobody.
	Refused func(limit string)
	// Log takes failures inside, warnings about templates, and requests at level
	// debug; nil logs nothing.
	Log *slog.Logger
	// Now is the wall clock that stamps documents; nil means time.Now.
	Now func() time.Time
	// Observe is called after each request, for metrics and traces: the operation (its
	// operationId; "" for a path or method that does not exist), the status and
	// the time that it took. It must be safe for concurrent use; it may be nil.
	Observe func(ctx context.Context, operation string, status int, took time.Duration)
}

// server answers requests.
type server struct {
	store     *store.Store
	view      *view.View
	clock     *clock.Clock
	images    Images
	tenants   Tenants
	explain   func(ctx context.Context, rec *bos.Record, session *bos.SessionRecord) bos.Why
	plan      func(ctx context.Context, s *bos.Session) (bos.SessionPlan, error)
	events    *events.Recorder
	closing   <-chan struct{}
	live      live
	prefix    string
	proxyPath string
	metrics   http.Handler
	log       *slog.Logger
	now       func() time.Time
	observe   func(ctx context.Context, operation string, status int, took time.Duration)
	access    Access
	limits    Limits
	trail     Trail
	refused   func(limit string)

	front  *front.Front
	routes *router
	bodies bodyBudget
	// buffers hold answers on their way out, decoders read components.
	buffers  bos.Buffers
	decoders decoders
	// wide counts the lists of components that are being sent.
	wide atomic.Int64
	// outer is what a request meets first; it hands it on to answer.
	outer http.Handler
}

// New makes the handler of the API. The error says which part of the
// configuration is missing or wrong.
func New(cfg Config) (http.Handler, error) {
	s := &server{
		store: cfg.Store, view: cfg.View, clock: cfg.Clock, images: cfg.Images, tenants: cfg.Tenants, explain: cfg.Explain, plan: cfg.Plan, events: cfg.Events, closing: cfg.Closing,
		prefix: cfg.Prefix, proxyPath: cfg.ProxyPath, metrics: cfg.Metrics, log: cfg.Log, now: cfg.Now, observe: cfg.Observe,
		access: cfg.Access, limits: cfg.Limits, trail: cfg.Trail, refused: cfg.Refused,
	}
	if s.store == nil || s.view == nil || s.clock == nil || s.images == nil || s.explain == nil || s.plan == nil {
		return nil, errors.New("the API needs a store, a view, a clock, and somebody to ask about images, to explain components and to plan sessions")
	}
	if s.prefix == "" {
		s.prefix = DefaultPrefix
	}
	if !strings.HasPrefix(s.prefix, "/") || strings.HasSuffix(s.prefix, "/") || strings.Contains(s.prefix, "//") {
		return nil, fmt.Errorf("the prefix %q must begin with a slash and not end with one", s.prefix)
	}
	if s.proxyPath = strings.Trim(s.proxyPath, "/"); s.proxyPath != "" {
		s.proxyPath = "/" + s.proxyPath
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.observe == nil {
		s.observe = func(context.Context, string, int, time.Duration) {}
	}
	if s.refused == nil {
		s.refused = func(string) {}
	}
	s.buffers.Most = maxBuffer
	s.bodies.most = cfg.Limits.BodiesBytes
	if s.bodies.most == 0 {
		s.bodies.most = mostHeld
	}
	var err error
	if s.front, err = front.Load(document); err != nil {
		return nil, fmt.Errorf("load the API's document: %w", err)
	}
	if s.routes, err = newRouter(s.front, s.handlers()); err != nil {
		return nil, fmt.Errorf("route the API's document: %w", err)
	}
	if err = s.limits.apply(s.routes.endpoints); err != nil {
		return nil, err
	}
	if s.outer, err = coded(http.HandlerFunc(s.answer)); err != nil {
		return nil, err
	}
	return s, nil
}

// handlers says who answers which operation of the document.
func (s *server) handlers() map[string]handler {
	return map[string]handler{
		"root_get":         s.getRoot,
		"v2_get":           s.getVersion,
		"get_version_v2":   s.getVersion,
		"get_healthz_v2":   s.getHealth,
		"get_metrics":      s.getMetrics,
		"get_readyz":       s.getReady,
		"get_livez":        s.getAlive,
		"get_openapi_json": s.getDocumentJSON,
		"get_openapi_yaml": s.getDocumentYAML,

		"get_v2_sessiontemplates":        s.listTemplates,
		"get_v2_sessiontemplate":         s.getTemplate,
		"put_v2_sessiontemplate":         s.putTemplate,
		"patch_v2_sessiontemplate":       s.patchTemplate,
		"delete_v2_sessiontemplate":      s.deleteTemplate,
		"get_v2_sessiontemplatesvalid":   s.validateTemplate,
		"get_v2_sessiontemplatetemplate": s.getExampleTemplate,

		"get_v2_sessions":        s.listSessions,
		"post_v2_session":        s.createSession,
		"delete_v2_sessions":     s.deleteSessions,
		"get_v2_session":         s.getSession,
		"patch_v2_session":       s.patchSession,
		"delete_v2_session":      s.deleteSession,
		"get_v2_session_status":  s.getStatus,
		"save_v2_session_status": s.saveStatus,
		"get_v2_session_outcome": s.getOutcome,
		"post_v2_session_plan":   s.planSession,
		"cancel_v2_session":      s.cancelSession,
		"pause_v2_session":       s.pauseSession,
		"resume_v2_session":      s.resumeSession,

		"get_v2_components":    s.listComponents,
		"put_v2_components":    s.putComponents,
		"patch_v2_components":  s.patchComponents,
		"get_v2_component":     s.getComponent,
		"put_v2_component":     s.putComponent,
		"patch_v2_component":   s.patchComponent,
		"delete_v2_component":  s.deleteComponent,
		"get_v2_fleet":         s.getFleet,
		"post_v2_apply_staged": s.applyStaged,

		"get_v2_component_why":      s.whyComponent,
		"get_v2_component_timeline": s.timeline,
		"get_v2_session_events":     s.sessionEvents,
		"get_v2_events":             s.getEvents,

		"get_v2_options":   s.getOptions,
		"patch_v2_options": s.patchOptions,
	}
}

// sync brings the view to a revision that is no older than the call.
func (s *server) sync(ctx context.Context) error {
	select {
	case <-s.view.Ready():
	default:
		return bos.Unavailable("store", errors.New("it has not been read yet"))
	}
	return s.view.Sync(ctx, s.store)
}

// settle waits for the view to show a write. The write is durable whether it
// does or not, and every read waits for itself, so that a view that is late is
// no reason to tell the client of a failure.
func (s *server) settle(ctx context.Context, revision int64) {
	if err := s.view.WaitFor(ctx, revision); err != nil {
		s.log.DebugContext(ctx, "the view is late", slog.Int64("revision", revision), slog.Any("error", err))
	}
}
