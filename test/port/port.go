// SPDX-License-Identifier: MIT

// Package port finds addresses for servers that tests start as processes of their
// own, and start again at the same address.
package port

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// The ports that are tried lie below those that Linux gives to connections going
// out (net.ipv4.ip_local_port_range, from 32768 on) and to whoever listens on port
// 0: an address stays free between a test that found it and the server that is to
// have it, also while that is down.
const (
	first = 15000
	last  = 32000
	tries = 100
)

// Address returns an address of this host, 127.0.0.1:port, that nobody listens on.
func Address(t testing.TB) string {
	t.Helper()
	var err error
	for range tries {
		address := fmt.Sprintf("127.0.0.1:%d", first+rand.IntN(last-first))
		var l net.Listener
		if l, err = net.Listen("tcp", address); err == nil {
			_ = l.Close()
			return address
		}
	}
	t.Fatalf("no port is free: %v", err)
	return ""
}
