// SPDX-License-Identifier: MIT

// Package arch holds the tests that keep the architecture: who may import whom,
// what the decisions may not touch, and how long a file may be. The reasons are
// in docs/ARCHITECTURE.md.
package arch
