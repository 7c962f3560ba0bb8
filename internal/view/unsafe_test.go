// SPDX-License-Identifier: MIT

package view_test

import "unsafe"

// sameString reports whether two equal texts are the same bytes in memory.
func sameString(a, b string) bool { return unsafe.StringData(a) == unsafe.StringData(b) }
