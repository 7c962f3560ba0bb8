// SPDX-License-Identifier: MIT

// Package deploy tests what administrators are given to run BOS with: the image,
// the service files, the Helm chart, the alert rules. It is a module of its own, so
// that nothing that it needs is linked into BOS.
package deploy
