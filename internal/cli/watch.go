// SPDX-License-Identifier: MIT

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"bos/internal/client"

	"github.com/spf13/cobra"
)

const (
	// polledSessions bounds how many sessions are asked for one by one where
	// the server tells of none by itself.
	polledSessions = 20
	// saidLeast is how long nothing is said of a session whose nodes are hardly
	// further, where lines are kept, and saidStep how far they must be, in
	// percent, to say it at once.
	saidLeast, saidStep = 30 * time.Second, 10
)

func (a *app) watchCommand() *cobra.Command {
	return &cobra.Command{
		Use: "watch [SESSION]", Short: "Show the progress of a session, or of all, as it happens",
		Long: `Show the progress of a session until it is complete: where its nodes are, how long it will
take at its own pace, which nodes are slowest, what failed. A staged session is shown until
all that is left of it waits on its nodes to be applied. Without SESSION all sessions and all
nodes are shown until the program is interrupted.

On a terminal the picture changes in place. Elsewhere there are lines, or with --format the
outcome at the end in that format and the lines on the standard error. Connections that are
lost are made again. A server that tells nothing by itself is asked every few seconds.

With SESSION the exit status is 0 if every node made it, 3 if some did, and 4 if none did.`,
		Example: "  bos watch\n  bos watch reboot-compute-1",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return oneName("SESSION")(cmd, args)
		},
		ValidArgsFunction: first(a.completeSessions),
		RunE: run(func(cmd *cobra.Command, args []string) error {
			bos, err := a.client(cmd)
			if err != nil {
				return err
			}
			if len(args) == 1 {
				return a.await(cmd, bos, args[0])
			}
			return a.watchAll(cmd.Context(), bos)
		}),
	}
}

// watcher shows what is watched.
type watcher struct {
	a     *app
	bos   *client.Client
	state watched
	live  *live
	// lines takes what is said where there is no live picture.
	lines io.Writer
	said  map[sessionKey]*said
	// only the last time that the server had no outcome is remembered: it is
	// the original then.
	original bool
	// closed says that the event has come which says that the session is complete.
	// framesLeft is not 0 while it is waited for, and counts the frames until that
	// has an end.
	closed     bool
	framesLeft int
}

// lastFrames is how many pictures wait for the last event of a session.
const lastFrames = 4

// said is what was said of a session.
type said struct {
	at       time.Time
	status   string
	percent  int
	line     string
	failures map[string]int
}

// newWatcher makes what shows one session, or all.
func (a *app) newWatcher(bos *client.Client, session string) *watcher {
	w := &watcher{a: a, bos: bos, lines: a.out, said: map[sessionKey]*said{}}
	w.state.only = session
	switch {
	case a.asked && a.format != formatTable:
		w.lines = a.sys.Stderr
	case a.sys.Terminal && a.format == formatTable && a.sys.Getenv("TERM") != "dumb" && !bool(a.flags.quiet):
		w.live = &live{out: a.sys.Stdout}
	}
	return w
}

// follow shows what is watched until it is over.
func (w *watcher) follow(ctx context.Context) error {
	query := url.Values{"kinds": {"sessions,fleet,events"}}
	if w.state.only != "" {
		query = url.Values{"kinds": {"sessions,events"}, "session": {w.state.only}}
	}
	f := &follower{
		bos: w.bos, query: query, interval: pollInterval, quiet: quietInterval,
		fetch: w.fetch, tell: w.tell, notice: w.notice,
	}
	if w.live != nil {
		f.draw = w.frame
	}
	err := f.run(ctx)
	if w.live != nil {
		w.state.notice = ""
		err = errors.Join(err, w.draw(), w.live.end())
	}
	return err
}

// tell takes what the server tells.
func (w *watcher) tell(m client.Message) error {
	e, p, err := w.state.take(m, w.a.sys.Now())
	switch {
	case err != nil:
		return err
	case w.state.gone:
		return fmt.Errorf("the session %s was deleted", w.state.only)
	case e != nil:
		w.closed = w.closed || e.Type == "session_complete"
		if w.framesLeft > 0 && w.closed {
			return errDone
		}
		return w.sayEvent(e)
	case p != nil:
		return w.changed(p)
	}
	return nil
}

// changed says that a session changed, and ends if it was all that was to be
// seen.
func (w *watcher) changed(p *progress) error {
	if err := w.say(p); err != nil {
		return err
	}
	switch {
	case w.state.only != p.Session || !p.settled() || w.framesLeft > 0:
		return nil
	case w.live != nil && !w.original && p.complete() && !w.closed:
		// The last picture shall show how it ended.
		w.framesLeft = lastFrames + 1
		return nil
	}
	return errDone
}

// frame draws the picture from time to time.
func (w *watcher) frame() error {
	if w.framesLeft > 0 {
		if w.framesLeft--; w.framesLeft == 0 {
			return errDone
		}
	}
	return w.draw()
}

// notice takes what there is to say of the connection.
func (w *watcher) notice(text string) error {
	if text == w.state.notice {
		return nil
	}
	w.state.notice = text
	if text == "" || w.live != nil {
		return nil
	}
	return w.line(text)
}

// fetch asks for what a server does not tell by itself.
func (w *watcher) fetch(ctx context.Context) error {
	if w.state.only != "" {
		o, err := w.ask(ctx, w.state.only)
		if err != nil {
			return err
		}
		o.Session = w.state.only
		return w.changed(w.state.update(o, w.a.sys.Now()))
	}
	known := map[sessionKey]bool{}
	for _, status := range []string{"running", "pending"} {
		list, err := w.bos.Sessions(ctx, url.Values{"status": {status}})
		if err != nil {
			return err
		}
		for one, err := range client.Each[struct {
			Name   string  `json:"name"`
			Tenant *string `json:"tenant"`
		}](list) {
			if err != nil {
				return err
			}
			known[sessionKey{val(one.Tenant), one.Name}] = true
		}
	}
	for key, p := range w.state.sessions {
		known[key] = known[key] || !p.complete()
	}
	asked := 0
	for key, wanted := range known {
		if asked++; !wanted || asked > polledSessions {
			continue
		}
		// Sessions of tenants are asked for with their tenant.
		bos, err := w.a.clientFor(key.tenant)
		if err != nil {
			return err
		}
		o, err := (&watcher{bos: bos, original: w.original}).ask(ctx, key.name)
		if client.IsNotFound(err) {
			delete(w.state.sessions, key)
			continue
		}
		if err != nil {
			return err
		}
		if err := w.changed(w.state.update(o, w.a.sys.Now())); err != nil {
			return err
		}
	}
	return nil
}

// ask asks where the nodes of a session are.
func (w *watcher) ask(ctx context.Context, session string) (outcome, error) {
	if !w.original {
		raw, err := w.bos.Outcome(ctx, session)
		if err == nil {
			return client.Decode[outcome](raw)
		}
		if !client.IsUnsupported(err) {
			return outcome{}, err
		}
	}
	one, err := w.bos.Session(ctx, session)
	if err != nil {
		return outcome{}, err
	}
	status, err := w.bos.SessionStatus(ctx, session)
	if err != nil {
		return outcome{}, err
	}
	w.original = true
	return fromStatus(one, status)
}

// draw draws the picture.
func (w *watcher) draw() error {
	width, height := w.a.size()
	c := &canvas{width: width, height: height, now: w.a.sys.Now().UTC(), plain: !w.a.unicode()}
	w.state.draw(c)
	return w.live.show(c.render(w.a.screen()))
}

// line writes one line, at once.
func (w *watcher) line(text string) error {
	return w.lineAt(w.a.sys.Now().UTC().Format(time.DateTime), text)
}

// lineAt writes a line about a time.
func (w *watcher) lineAt(at, text string) error {
	_, err := fmt.Fprintf(w.lines, "%s  %s\n", clean(at), clean(text))
	return errors.Join(err, w.a.out.Flush())
}

// sayEvent says what happened where lines are kept. How far nodes are is said
// of sessions.
func (w *watcher) sayEvent(e *event) error {
	switch e.Type {
	case "failed", "refused", "service_away", "service_back", "taken_over", "disabled",
		"session_cancelled", "session_paused", "session_resumed", "session_deleted":
	default:
		return nil
	}
	if w.live != nil {
		return nil
	}
	parts := e.line(false)[1:]
	texts := make([]string, 0, len(parts))
	for _, part := range parts {
		if part.text != w.state.only {
			texts = append(texts, part.text)
		}
	}
	return w.lineAt(second(e.Time), strings.Join(texts, gap))
}

// say says how far a session is, where lines are kept: when that is news.
func (w *watcher) say(p *progress) error {
	if w.live != nil {
		return nil
	}
	now := w.a.sys.Now()
	key := sessionKey{p.Tenant, p.Session}
	last := w.said[key]
	if last == nil {
		last = &said{percent: -1, failures: map[string]int{}}
		w.said[key] = last
	}
	for _, f := range p.Failures {
		if w.original && f.Count > last.failures[f.Error] {
			// Nothing else tells of it.
			if err := w.line(failureLine(f)); err != nil {
				return err
			}
		}
		last.failures[f.Error] = f.Count
	}
	far := p.done() * 100 / max(p.Counts.Total, 1)
	line := p.Session + ": " + p.summary(now)
	state, _ := p.state()
	news := state != last.status || far >= last.percent+saidStep && line != last.line ||
		now.Sub(last.at) >= saidLeast && line != last.line
	if !news {
		return nil
	}
	last.at, last.status, last.percent, last.line = now, state, far-far%saidStep, line
	return w.line(line)
}

// await shows a session until it is complete, and ends as it did.
func (a *app) await(cmd *cobra.Command, bos *client.Client, session string) error {
	w := a.newWatcher(bos, session)
	if err := w.follow(cmd.Context()); err != nil {
		if p := w.state.one(); errors.Is(err, context.Canceled) && p != nil && !p.complete() {
			fmt.Fprintf(a.sys.Stderr, "bos: the session %s goes on; 'bos sessions cancel %s' ends it\n", session, session)
		}
		return err
	}
	p := w.state.one()
	if !p.complete() {
		if err := w.tellStaged(cmd.Context(), p); err != nil {
			return err
		}
	}
	if a.asked && a.format != formatTable {
		err := a.showDocument(&p.outcome, func(*screen, json.RawMessage) error { return nil })
		if err != nil {
			return err
		}
	}
	return p.exit()
}

// tellStaged says what is staged, and how it is started.
func (w *watcher) tellStaged(ctx context.Context, p *progress) error {
	nodes := "NODES"
	if p.Counts.Staged == p.Counts.Total {
		raw, err := w.bos.Session(ctx, p.Session)
		if err != nil {
			return err
		}
		one, err := client.Decode[struct {
			Components string `json:"components"`
		}](raw)
		if err != nil {
			return err
		}
		if all := foldList(one.Components); all != "" && len(all) <= toldNodes {
			nodes = "'" + all + "'"
		}
	}
	text := plural(p.Counts.Staged, "node") + " staged; bos applystaged create --xnames " + nodes + " starts them"
	if nodes == "NODES" {
		text += " (bos components list --staged-session " + p.Session + " --fold names them)"
	}
	if p.Counts.Staged == 1 {
		text = strings.NewReplacer("starts them", "starts it", "names them", "names it").Replace(text)
	}
	if p.Paused {
		text += "; the session is paused: bos sessions resume " + p.Session
	}
	_, err := fmt.Fprintln(w.lines, clean(text))
	return errors.Join(err, w.a.out.Flush())
}

// watchAll shows everything until the program is interrupted.
func (a *app) watchAll(ctx context.Context, bos *client.Client) error {
	err := a.newWatcher(bos, "").follow(ctx)
	if errors.Is(err, context.Canceled) {
		// To be stopped is how it ends.
		return nil
	}
	return err
}

// size is that of the terminal now.
func (a *app) size() (width, height int) {
	if a.sys.Size != nil {
		if width, height = a.sys.Size(); width > 0 {
			return width, height
		}
	}
	return a.sys.Width, 0
}

// unicode reports whether more than ASCII can be shown.
func (a *app) unicode() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if value := strings.ToUpper(a.sys.Getenv(name)); value != "" {
			return strings.Contains(value, "UTF-8") || strings.Contains(value, "UTF8")
		}
	}
	return false
}

// live draws lines in place on a terminal.
type live struct {
	out io.Writer
	// height is how many lines the last picture has.
	height int
	begun  bool
}

// show draws lines in place of the last ones.
func (l *live) show(lines []string) error {
	var b strings.Builder
	if !l.begun {
		// The cursor would jump about.
		b.WriteString("\x1b[?25l")
		l.begun = true
	}
	if l.height > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", l.height)
	}
	for _, line := range lines {
		b.WriteString("\r" + line + "\x1b[K\n")
	}
	b.WriteString("\x1b[J")
	l.height = len(lines)
	_, err := io.WriteString(l.out, b.String())
	return err
}

// end leaves the last picture, and gives the terminal back.
func (l *live) end() error {
	if !l.begun {
		return nil
	}
	_, err := io.WriteString(l.out, "\x1b[?25h")
	return err
}
