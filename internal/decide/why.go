// SPDX-License-Identifier: MIT

package decide

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"bos/internal/bos"
)

// WhyInput is what is known of one component when somebody asks why it is where
// it is.
type WhyInput struct {
	Record *bos.Record
	// Session is the session that the component names, nil if there is none.
	Session *bos.SessionRecord
	Options bos.Options
	NoCFS   bool
	// Now is the fleet's clock at the time Wall, Rate how many times as fast as
	// time it runs; 0 counts as 1.
	Now  bos.Instant
	Wall time.Time
	Rate float64
	// Power and Config are the last looks; ConfigAt is when the latter was. They
	// are not Seen by a process that does not look itself.
	Power    Power
	Config   Config
	ConfigAt bos.Instant
	// Open is the node's last command while PCS is not done with it; nil if it is.
	Open *bos.Attempt
	// Script is when the node last fetched its boot script, if BSS was asked.
	Script BootScript
	// Away are the services that do not answer.
	Away Services
}

// BootScript is when BSS last gave a node its boot script.
type BootScript struct {
	Asked bool
	// At is that time, in whole seconds and on this machine's clock; zero if BSS
	// has never given it one.
	At time.Time
	// Problem is why BSS did not say, "" if it did.
	Problem string
}

// AsksScript reports whether it matters for a component when it last fetched its
// boot script: it was switched on and has not reported what it shall run, or it
// was given up.
func AsksScript(rec *bos.Record) bool {
	c := &rec.Component
	switch c.StatusNow() {
	case bos.StatusPowerOnCalled:
		return true
	case bos.StatusFailed, bos.StatusOnHold:
		return !c.Enabled.Value() && !c.WantsOff() &&
			!bos.SameArtifacts(c.ActualState.Value().BootArtifacts.Value(), c.DesiredArtifacts())
	default:
	}
	return false
}

// Why explains a component: whose turn it is, since when, what was said of it
// and what would unstick it.
func Why(in WhyInput) bos.Why {
	c := &in.Record.Component
	e := explanation{in: &in, c: c, id: c.ID, status: c.StatusNow()}
	e.Why = bos.Why{
		ID: c.ID, Status: e.status, Phase: c.Status.Value().Phase.Value(), Session: c.Session.Value(),
		Said: []bos.Said{}, Unstick: []string{},
	}
	e.collect()
	switch {
	case !c.Enabled.Value():
		e.notDriven()
	case in.Session != nil && in.Session.Stopped():
		e.stopped()
	case in.Record.Sealed.Wait != nil:
		e.waits(in.Record.Sealed.Wait)
	default:
		e.driven()
	}
	if c.Enabled.Value() {
		e.whose()
	}
	return e.Why
}

// explanation is a document in the making.
type explanation struct {
	bos.Why
	in     *WhyInput
	c      *bos.Component
	id     string
	status bos.StatusName
}

// wall turns an instant into a time; the zero time for never.
func (e *explanation) wall(i bos.Instant) time.Time {
	if i == 0 {
		return time.Time{}
	}
	rate := e.in.Rate
	if rate <= 0 {
		rate = 1
	}
	return e.in.Wall.Add(time.Duration(float64(i.Sub(e.in.Now)) / rate)).Round(time.Second)
}

// stamped reads a time that the component shows; what can't be read is none.
func stamped(text bos.Opt[string]) time.Time {
	t, err := bos.ParseTimestamp(text.Value())
	if err != nil {
		return time.Time{}
	}
	return t
}

// acted is when the last thing was done with the node.
func (e *explanation) acted() time.Time {
	if t := stamped(e.c.LastAction.Value().LastUpdated); !t.IsZero() {
		return t
	}
	return e.wall(e.in.Record.Sealed.ActionAt)
}

// reportedAt is when the node last reported, the zero time if it has not.
func (e *explanation) reportedAt() time.Time {
	if !reported(e.c) {
		return time.Time{}
	}
	return stamped(e.c.ActualState.Value().LastUpdated)
}

// ago says how long ago a time is.
func (e *explanation) ago(t time.Time) string {
	d, unit, name := max(e.in.Wall.Sub(t).Round(time.Second), 0), time.Second, "second"
	switch {
	case d >= 2*time.Hour:
		unit, name = time.Hour, "hour"
	case d >= 2*time.Minute:
		unit, name = time.Minute, "minute"
	}
	if n := d / unit; n != 1 {
		return fmt.Sprintf("%d %ss ago", n, name)
	}
	return "1 " + name + " ago"
}

// at writes a time into a sentence.
func at(t time.Time) string {
	if t.IsZero() {
		return "some time ago"
	}
	return "at " + t.UTC().Format("2006-01-02 15:04:05") + " UTC"
}

func since(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " since " + t.UTC().Format("2006-01-02 15:04:05") + " UTC"
}

// is says whose turn it is, since when, and in one sentence why.
func (e *explanation) is(turn string, since time.Time, format string, args ...any) {
	e.Turn, e.Since, e.Summary = turn, bos.RFC3339(since), fmt.Sprintf(format, args...)
}

// unstick adds something that would help.
func (e *explanation) unstick(format string, args ...any) {
	e.Unstick = append(e.Unstick, fmt.Sprintf(format, args...))
}

// next says when BOS looks or acts again.
func (e *explanation) next(i bos.Instant) {
	if i != 0 {
		e.Next = bos.RFC3339(e.wall(max(i, e.in.Now)))
	}
}

// say adds what a service said.
func (e *explanation) say(service string, at time.Time, format string, args ...any) {
	e.Said = append(e.Said, bos.Said{Service: service, At: bos.RFC3339(at), Text: fmt.Sprintf(format, args...)})
}

// collect gathers what the services and the node last said.
func (e *explanation) collect() {
	sealed := &e.in.Record.Sealed
	if w := sealed.Wait; w != nil && (w.On == OnReservation || w.On == OnRecordInHSM) {
		e.say(ServiceHSM, e.wall(w.Since), "%s", w.Text)
	}
	e.collectPower()
	if mark := sealed.Attempt; e.sent() && mark.Action == bos.ActionPoweringOn && e.refuser() == "" {
		e.say(ServiceBSS, e.acted(), "took its boot script: kernel %s", e.c.DesiredArtifacts().Kernel.Value())
	}
	e.collectScript()
	if text := e.c.Error.Value(); e.refuser() != "" {
		e.say(e.refuser(), e.acted(), "%s", text)
	}
	if config := e.in.Config; config.Seen && !e.in.NoCFS {
		if config.Found {
			e.say(ServiceCFS, e.wall(e.in.ConfigAt), "configuration '%s' is %s", config.Desired, orUnknown(config.Status))
		} else {
			e.say(ServiceCFS, e.wall(e.in.ConfigAt), "%s", textNotInCFS)
		}
	}
	for _, service := range []string{ServiceHSM, ServicePCS, ServiceBSS, ServiceCFS, ServiceIMS} {
		if away, is := e.in.Away[service]; is {
			e.say(service, time.Time{}, "%s", away.Text)
		}
	}
	switch {
	case !reported(e.c):
		e.say(bos.TurnNode, time.Time{}, "has not reported what it runs")
	case e.runs():
		e.say(bos.TurnNode, e.reportedAt(), "reported what it shall run: kernel %s", e.actualKernel())
	default:
		e.say(bos.TurnNode, e.reportedAt(), "reported something else than it shall run: kernel %s", e.actualKernel())
	}
}

// collectScript says when the node last fetched its boot script.
func (e *explanation) collectScript() {
	switch script := e.in.Script; {
	case !script.Asked:
	case script.Problem != "":
		e.say(ServiceBSS, time.Time{}, "does not say when it last fetched its boot script: %s", script.Problem)
	case script.At.IsZero():
		e.say(ServiceBSS, time.Time{}, "has never given it a boot script")
	case e.fetched():
		e.say(ServiceBSS, script.At, "gave it its boot script")
	default:
		e.say(ServiceBSS, script.At, "gave it a boot script for the last time, before %s", e.bootText())
	}
}

// scriptKnown reports whether BSS has said when the node last fetched its boot
// script.
func (e *explanation) scriptKnown() bool { return e.in.Script.Asked && e.in.Script.Problem == "" }

// fetched reports whether the node has fetched its boot script since it was
// switched on, as far as BSS says; of a node that was given up, since its session
// began.
func (e *explanation) fetched() bool {
	at := e.in.Script.At
	return e.scriptKnown() && !at.IsZero() && !at.Before(e.bootBegan().Truncate(time.Second))
}

// bootBegan is since when a boot script counts, and bootText what that was.
func (e *explanation) bootBegan() time.Time {
	if e.status == bos.StatusPowerOnCalled || e.in.Session == nil {
		return e.acted()
	}
	return stamped(bos.Some(e.in.Session.Session.Status.StartTime))
}

func (e *explanation) bootText() string {
	if e.status == bos.StatusPowerOnCalled || e.in.Session == nil {
		return "it was switched on"
	}
	return "its session began"
}

func (e *explanation) collectPower() {
	if mark := e.in.Record.Sealed.Attempt; e.sent() && e.refuser() == "" {
		text := "took the command " + mark.Action.Operation()
		if e.in.Open != nil {
			text += " and is not done with it"
			if ids := e.in.Open.Transitions; len(ids) > 0 {
				text += ": transition " + strings.Join(ids, ", ")
			}
		}
		e.say(ServicePCS, e.acted(), "%s", text)
	}
	switch p := e.in.Power; {
	case !p.Seen:
	case !p.Found:
		e.say(ServicePCS, e.wall(p.At), "%s", textNotInPCS)
	case p.Error != "":
		e.say(ServicePCS, e.wall(p.At), "its power is %s: %s", orUnknown(p.State), p.Error)
	default:
		e.say(ServicePCS, e.wall(p.At), "its power is %s", orUnknown(p.State))
	}
}

func orUnknown(state string) string {
	if state == "" {
		return "unknown"
	}
	return state
}

// sent reports whether the last thing that was done with the node is a command.
func (e *explanation) sent() bool {
	mark := e.in.Record.Sealed.Attempt
	return mark != nil && mark.At == e.in.Record.Sealed.ActionAt
}

// refuser is the service that the node's error is from, "" for none: such texts
// begin with the service's name.
func (e *explanation) refuser() string {
	text := e.c.Error.Value()
	if w := e.in.Record.Sealed.Wait; w != nil && w.Text == text {
		return ""
	}
	for _, service := range []string{ServiceHSM, ServicePCS, ServiceBSS, ServiceCFS, ServiceIMS} {
		if strings.HasPrefix(text, service+" ") {
			return service
		}
	}
	return ""
}

func (e *explanation) actualKernel() string {
	return e.c.ActualState.Value().BootArtifacts.Value().Kernel.Value()
}

// runs reports whether the node reported what it shall run.
func (e *explanation) runs() bool {
	return !e.c.WantsOff() && !e.in.Record.Sealed.Restart &&
		bos.SameArtifacts(e.c.ActualState.Value().BootArtifacts.Value(), e.c.DesiredArtifacts())
}

// attempts tells how many attempts of an action were made of how many.
func (e *explanation) attempts(a bos.Action) string {
	return fmt.Sprintf("attempt %d of %d", max(1, e.c.EventStats.Value().Attempts(a)), e.in.Options.RetryLimit(e.c))
}

// whose says by whom an enabled node is driven, where that is not a session.
func (e *explanation) whose() {
	switch {
	case e.Session == "":
		e.unstick("it belongs to no session: a client enabled it; disable it if it is not to be driven")
	case e.in.Session == nil:
		e.unstick("its session %s does not exist any more; disable it if it is not to be driven", e.Session)
	}
}

// again says how to start over, after what was said before, if anything was.
func (e *explanation) again() {
	then := ""
	if len(e.Unstick) > 0 {
		then = "then "
	}
	e.unstick("%sstart it again with a session that has the limit %s", then, e.id)
}

// checkOperator says what to look at if an operator does not take its turn.
func (e *explanation) checkOperator() {
	if slices.Contains(Roles(), e.Turn) {
		e.unstick("nothing, as a rule: it takes seconds; if it stays, see whether some bosd runs the operator %s and what its log says", e.Turn)
	}
}
