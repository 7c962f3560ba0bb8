// SPDX-License-Identifier: MIT

package sim

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// judgeCase is what a client does and which rules it breaks how often.
type judgeCase struct {
	run  func(*testing.T, *bench)
	want map[string]int
}

func judgeCases() map[string]judgeCase {
	send := func(b *bench, op, attempt string, nodes ...string) { b.transitionAs(op, attempt, nodes...) }
	return map[string]judgeCase{
		"a correct client": {func(t *testing.T, b *bench) {
			for try := range 3 {
				attempt := "attempt-" + string(rune('a'+try))
				b.putParams("t", first, second)
				send(b, "On", attempt, first, second)
				time.Sleep(2 * time.Minute)
				send(b, "Soft-Off", attempt, first, second)
				time.Sleep(2 * time.Minute)
			}
		}, map[string]int{}},
		"twice in one transition": {func(t *testing.T, b *bench) {
			send(b, "Soft-Off", "a", first, second, first)
		}, map[string]int{RuleNodeTwice: 1}},
		"an attempt repeated": {func(t *testing.T, b *bench) {
			send(b, "Soft-Off", "a", first)
			time.Sleep(time.Minute)
			send(b, "Soft-Off", "a", first, second)
		}, map[string]int{RuleAttemptRepeated: 1}},
		"another operation in one attempt": {func(t *testing.T, b *bench) {
			send(b, "Soft-Off", "a", first)
			send(b, "Force-Off", "a", first)
		}, map[string]int{}},
		"still open": {func(t *testing.T, b *bench) {
			b.putParams("t", first)
			send(b, "On", "a", first)
			time.Sleep(time.Second)
			b.putParams("t", first)
			send(b, "On", "b", first)
		}, map[string]int{RuleStillOpen: 1}},
		"again after a refusal": {func(t *testing.T, b *bench) {
			b.hsm("POST", "/locks/lock", map[string]any{"ComponentIDs": []string{first}})
			b.putParams("t", first)
			send(b, "On", "a", first)
			time.Sleep(5 * time.Second)
			send(b, "On", "b", first)
		}, map[string]int{}},
		"On while on": {func(t *testing.T, b *bench) {
			b.boot(first)
			b.putParams("t", first)
			send(b, "On", "b", first)
		}, map[string]int{RuleOnNotOff: 1}},
		"On without parameters": {func(t *testing.T, b *bench) {
			send(b, "On", "a", first)
		}, map[string]int{RuleOnWithoutParameters: 1}},
		"On without new parameters": {func(t *testing.T, b *bench) {
			b.boot(first)
			send(b, "Force-Off", "a", first)
			time.Sleep(2 * time.Minute)
			send(b, "On", "b", first)
		}, map[string]int{RuleOnWithoutParameters: 1}},
		"On with refused parameters": {func(t *testing.T, b *bench) {
			b.putParams("t", first)
			b.InjectService("bss", ServiceFault{Kind: ServiceStatus})
			b.putParams("u", first)
			send(b, "On", "a", first)
		}, map[string]int{RuleOnWithoutParameters: 1}},
		"On after a write that broke off": {func(t *testing.T, b *bench) {
			b.putParams("t", first)
			b.InjectService("bss", ServiceFault{Kind: ServiceReset})
			_, _ = b.try(t.Context(), "PUT", b.URLs().BSS+"/bootparameters", params("x", first))
			send(b, "On", "a", first)
		}, map[string]int{RuleOnWithoutParameters: 1}},
		"malformed": {func(t *testing.T, b *bench) {
			send(b, "Soft-Off", "a", strings.ToUpper(first))
			b.putParams("t", strings.ToUpper(first))
		}, map[string]int{RuleMalformedName: 2}},
	}
}

func TestJudge(t *testing.T) {
	for name, c := range judgeCases() {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, Config{Nodes: 4}, func(t *testing.T, b *bench) {
				c.run(t, b)
				if diff := cmp.Diff(c.want, b.rules()); diff != "" {
					t.Errorf("%s\n%+v", diff, b.Violations())
				}
				for _, v := range b.Violations() {
					if v.Time.IsZero() || v.Detail == "" {
						t.Errorf("%+v", v)
					}
				}
			})
		})
	}
}

func TestTurns(t *testing.T) {
	inVirtualTime(t, Config{TimeScale: 0.1}, func(t *testing.T, b *bench) {
		time.Sleep(time.Hour)
		now := time.Now()
		good := []Turn{
			{"a", "power-on", "", now.Add(time.Minute)}, {"b", "status", "power", time.Time{}},
			{"c", "status", "", now.Add(-3 * time.Second)},
		}
		b.CheckTurns(good)
		b.noViolations()
		bad := []Turn{
			{"d", "", "power", now}, {"e", "power-on", "", time.Time{}}, {"f", "power-on", "power", now.Add(-4 * time.Second)},
		}
		b.CheckTurns(append(good, bad...))
		b.CheckTurns(bad)
		want := map[string]int{RuleTurnWithoutOwner: 1, RuleTurnWithoutReason: 1, RuleTurnOverdue: 1}
		if diff := cmp.Diff(want, b.rules()); diff != "" {
			t.Error(diff)
		}
		b.CheckTurns(nil)
		b.CheckTurns(bad[:1])
		if got := b.rules()[RuleTurnWithoutOwner]; got != 2 {
			t.Errorf("after it was right in between: %d", got)
		}
	})
}

func TestViolationsAreBounded(t *testing.T) {
	s := New(Config{})
	t.Cleanup(s.Close)
	for range maxViolations + 5 {
		s.judgeEmpty("hsm", "test")
	}
	if got := len(s.Violations()); got != maxViolations {
		t.Errorf("%d kept", got)
	}
	if got := s.Stats().Violations[RuleEmptyList]; got != maxViolations+5 {
		t.Errorf("%d counted", got)
	}
}

func TestCallLogIsBounded(t *testing.T) {
	var l callLog
	names := make([]string, 1000)
	const calls = MaxCalls + 10
	for i := range calls {
		c := Call{Status: i}
		if i%10 == 0 {
			c.Nodes = names
		}
		l.add(c)
	}
	all := l.last(-1)
	if len(all) != MaxCalls || all[0].Status != 10 || all[len(all)-1].Status != calls-1 {
		t.Errorf("%d calls, from %d to %d", len(all), all[0].Status, all[len(all)-1].Status)
	}
	kept := 0
	for _, c := range all {
		kept += len(c.Nodes)
	}
	if kept != maxLoggedNodes || kept != l.nodes || all[calls-20].Nodes == nil {
		t.Errorf("%d names kept, %d counted", kept, l.nodes)
	}
	if got := l.last(3); len(got) != 3 || got[2].Status != calls-1 {
		t.Errorf("last 3: %+v", got)
	}
}
