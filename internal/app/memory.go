// SPDX-License-Identifier: MIT

package app

import (
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
)

const (
	// cgroupRoot is where a container finds the limits that it was given.
	cgroupRoot = "/sys/fs/cgroup"
	// memoryShare is how much of a container's memory, in percent, is the Go
	// heap's at most. The rest is for the pages of the store's file, which the
	// kernel counts too.
	memoryShare = 80
	// garbage is how many bytes of garbage are let pile up before they are
	// collected, within bounds in percent of what lives, which is the fleet. A
	// collection costs time for what lives and brings what is garbage: of a small
	// fleet, with a set share, many would come and each bring little.
	garbage        = 64 << 20
	leastGCPercent = 150
	mostGCPercent  = 300
	// gcStep is the least change in percent that is worth the stop that it takes.
	gcStep = 10
)

// gcPercent returns how much garbage is let pile up, in percent of what lives, with
// so many bytes alive.
func gcPercent(live uint64) int {
	return int(min(max(garbage*100/max(live, 1), leastGCPercent), mostGCPercent))
}

// LimitMemory keeps the heap within the memory of the container that the process
// runs in, unless GOMEMLIMIT says how much it is to be. Without a container, or in
// one without a limit, there is none.
func LimitMemory(log *slog.Logger) { limitMemory(cgroupRoot, log) }

func limitMemory(root string, log *slog.Logger) {
	if debug.SetMemoryLimit(-1) != math.MaxInt64 {
		return
	}
	limit, ok := containerMemory(root)
	if !ok {
		return
	}
	share := limit / 100 * memoryShare
	debug.SetMemoryLimit(share)
	log.Info("the heap is kept within the container's memory", slog.Int64("container_bytes", limit), slog.Int64("heap_bytes", share))
}

// containerMemory reads the limit of a container: of cgroup version 2, or 1.
func containerMemory(root string) (int64, bool) {
	for _, name := range []string{"memory.max", filepath.Join("memory", "memory.limit_in_bytes")} {
		data, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			continue
		}
		limit, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
		// Version 1 says a number beyond all memory for no limit.
		if err == nil && limit > 0 && limit < 1<<50 {
			return limit, true
		}
		return 0, false
	}
	return 0, false
}
