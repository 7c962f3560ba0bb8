// SPDX-License-Identifier: MIT

package mem_test

import (
	"testing"

	"go.uber.org/goleak"

	"bos/internal/store"
	"bos/internal/store/mem"
	"bos/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEngine(t *testing.T) {
	storetest.Run(t, func(t *testing.T) (store.Engine, func(int64)) {
		e := mem.New()
		t.Cleanup(func() { _ = e.Close() })
		return e, e.Compact
	})
}
