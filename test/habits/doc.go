// SPDX-License-Identifier: MIT

// Package habits holds tests of what clients have come to rely on beside the
// schemas: how they write addresses, queries, headers and bodies, and how they
// use connections. They run against the whole server, over TCP.
package habits
