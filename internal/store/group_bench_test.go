// SPDX-License-Identifier: MIT

package store_test

import (
	"runtime"
	"sync/atomic"
	"testing"

	"bos/internal/bos"
	"bos/internal/store"
	"bos/internal/store/etcd"
)

// BenchmarkSmallWrites measures writes of single components by 16 clients, each
// of which waits for its answer, and how many share a transaction.
func BenchmarkSmallWrites(b *testing.B) {
	engine, err := etcd.OpenEmbedded(b.Context(), etcd.Embedded{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	counted := &counting{Engine: engine}
	s := store.New(counted)
	b.Cleanup(func() { _ = s.Close() })
	all := ids(1600)
	first, err := s.UpdateRecords(b.Context(), store.RecordUpdate{IDs: all, Change: bump})
	if err != nil {
		b.Fatal(err)
	}
	const clients = 16
	counted.commits.Store(0)
	var client, n atomic.Int64
	b.SetParallelism(clients / runtime.GOMAXPROCS(0))
	b.RunParallel(func(pb *testing.PB) {
		own := all[100*(client.Add(1)-1):][:100]
		known := map[string]*bos.Record{}
		for _, id := range own {
			known[id] = first.Written[id]
		}
		for i := 0; pb.Next(); i++ {
			n.Add(1)
			id := own[i%100]
			r, err := s.UpdateRecords(b.Context(), store.RecordUpdate{
				IDs: []string{id}, Change: bump, Read: func(id string) *bos.Record { return known[id] },
			})
			if err != nil {
				b.Error(err)
				return
			}
			known[id] = r.Written[id]
		}
	})
	b.ReportMetric(float64(n.Load())/float64(counted.commits.Load()), "writes/transaction")
}
