// SPDX-License-Identifier: MIT

package crash_test

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"bos/test/rig"
)

// dense returns a text of some bytes that can't be packed to much less.
func dense(rng *rand.Rand, size int) string {
	b := make([]byte, size/2)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return hex.EncodeToString(b)
}

// A store that has reached its quota says so in a 503, is read as before and
// takes deletions; when something was deleted and the file is written anew it
// takes writes again, also after a restart in between. Nothing is lost.
func TestStoreFull(t *testing.T) {
	p, a := server(t, t.TempDir())
	*p.Args() = append(*p.Args(), "--data-quota", "8")
	p.Start()
	a.Ready(0)
	rng := rand.New(rand.NewPCG(1, 1))
	var acknowledged []string
	write := func(n int) rig.Answer {
		t.Helper()
		id := fmt.Sprintf("x%d", n)
		answer, err := a.Try(t.Context(), http.MethodPut, "/v2/components/"+id, map[string]any{"error": dense(rng, 20000)})
		if err != nil {
			t.Fatal(err)
		}
		if answer.OK() {
			acknowledged = append(acknowledged, id)
		}
		return answer
	}
	const most = 5000
	refused := rig.Answer{Status: http.StatusOK}
	for n := 0; n < most && refused.OK(); n++ {
		refused = write(n)
	}
	full := func(answer rig.Answer) {
		t.Helper()
		for _, part := range []string{"the store is full", "bosd cluster defrag"} {
			if answer.Status != http.StatusServiceUnavailable || !strings.Contains(string(answer.Body), part) {
				t.Errorf("a write into a full store: %d %s", answer.Status, answer.Body)
			}
		}
	}
	full(refused)
	if out := rig.Command(t, nil, "cluster", "list", "--data-dir", p.DataDir()); !strings.Contains(out, "NOSPACE") {
		t.Errorf("the list of members does not say so:\n%s", out)
	}
	p.Stop()
	p.Start()
	all(t, a, acknowledged)
	full(write(most))

	half := len(acknowledged) / 2
	for _, id := range acknowledged[:half] {
		a.Do(http.MethodDelete, "/v2/components/"+id, nil)
	}
	acknowledged = acknowledged[half:]
	full(write(most))
	t.Log(rig.Command(t, nil, "cluster", "defrag", "--data-dir", p.DataDir()))
	if answer := write(most); !answer.OK() {
		t.Errorf("nothing can be written although there is room again: %d %s", answer.Status, answer.Body)
	}
	p.Kill()
	p.Start()
	all(t, a, acknowledged)
	if out := rig.Command(t, nil, "cluster", "list", "--data-dir", p.DataDir()); strings.Contains(out, "NOSPACE") {
		t.Errorf("the alarm is still there:\n%s", out)
	}
}
