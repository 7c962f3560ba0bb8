// SPDX-License-Identifier: MIT

// Package sim simulates the site around the Boot Orchestration Service: the
// hardware state manager (HSM), power control (PCS), the boot script service
// (BSS), configuration (CFS), images (IMS), tenants (TAPMS) and S3 as real HTTP
// servers, and the nodes behind them, which power on, fetch their boot script,
// report to BOS and get configured.
//
// The simulation is faithful in what hurts: PCS answers from a cache that a
// sweep refreshes, looks at its transitions every 15 s and holds reservations
// until a whole transition ends; BSS invents a token for every write; empty
// lists mean "everything"; nodes and services fail on demand.
//
// A [Site] judges its client while it works: [Site.Violations] lists what no
// correct client does, such as switching a node on twice for one attempt.
//
// All state is in memory and behind one lock. Nodes are plain data; everything
// that happens later is an event on one heap served by one goroutine, so that
// 100,000 nodes cost neither goroutines nor timers.
//
// A site works in real time over real sockets ([Site.Start]), or inside a
// testing/synctest bubble through [Site.Handler] or [Site.Transport]; then it
// must also be created inside the bubble.
package sim
