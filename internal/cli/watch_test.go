// SPDX-License-Identifier: MIT

package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"bos/internal/client"
)

// A live picture of a session waits for the event that says how it ended, which
// comes after the news that it is complete, but not for long.
func TestLastEventIsSeen(t *testing.T) {
	session := func(status string) client.Message {
		return client.Message{Kind: "session", Data: json.RawMessage(fmt.Sprintf(
			`{"session":{"name":"s1"},"outcome":{"session":"s1","status":%q,"counts":{"total":1,"succeeded":1}}}`, status))}
	}
	last := client.Message{Kind: "event", Data: json.RawMessage(
		`{"revision":7,"time":"2026-11-22T00:00:00","type":"session_complete","session":"s1","text":"complete: 1 node succeeded"}`)}
	begin := func(terminal bool) (*watcher, *strings.Builder) {
		var screen strings.Builder
		a := &app{sys: System{
			Stdout: &screen, Terminal: terminal, Size: func() (int, int) { return 100, 30 }, Getenv: func(string) string { return "" }, Now: func() time.Time { return testTime },
		}}
		w := &watcher{a: a, said: map[sessionKey]*said{}}
		w.state.only = "s1"
		if terminal {
			w.live = &live{out: &screen}
		} else {
			a.out = bufio.NewWriter(&screen)
			w.lines = io.Discard
		}
		return w, &screen
	}

	t.Run("it comes", func(t *testing.T) {
		w, screen := begin(true)
		for _, m := range []client.Message{session("running"), session("complete"), session("complete")} {
			if err := w.tell(m); err != nil {
				t.Fatal(err)
			}
			if err := w.frame(); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.tell(last); !errors.Is(err, errDone) {
			t.Errorf("after the last event: %v", err)
		}
		if err := w.draw(); err != nil || !strings.Contains(screen.String(), "1 node succeeded") {
			t.Errorf("%v; the last picture is without the event: %q", err, screen.String())
		}
	})
	t.Run("it came before", func(t *testing.T) {
		w, _ := begin(true)
		if err := errors.Join(w.tell(session("running")), w.tell(last)); err != nil {
			t.Fatal(err)
		}
		if err := w.tell(session("complete")); !errors.Is(err, errDone) {
			t.Errorf("%v", err)
		}
	})
	t.Run("it does not come", func(t *testing.T) {
		w, _ := begin(true)
		if err := w.tell(session("complete")); err != nil {
			t.Fatal(err)
		}
		frames := 0
		for ; frames <= 2*lastFrames; frames++ {
			if err := w.frame(); err != nil {
				break
			}
		}
		if frames != lastFrames {
			t.Errorf("it ends after %d pictures", frames)
		}
	})
	t.Run("without a terminal nothing is waited for", func(t *testing.T) {
		w, _ := begin(false)
		if err := w.tell(session("complete")); !errors.Is(err, errDone) {
			t.Errorf("%v", err)
		}
	})
}
