// SPDX-License-Identifier: MIT

// Package version says which version of the project a program is.
package version

import "runtime/debug"

// linked is the version that packagers give at link time, once, with
// -ldflags "-X bos/internal/version.linked=1.2.3".
var linked string

// String returns the version: the one of the packager, else the one that the
// build knows from its module or its checkout, else "unknown".
func String() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return choose(linked, "")
	}
	return choose(linked, info.Main.Version)
}

func choose(linked, built string) string {
	switch {
	case linked != "":
		return linked
	case built != "":
		return built
	}
	return "unknown"
}
