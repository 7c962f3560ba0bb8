// SPDX-License-Identifier: MIT

package main

import (
	"log/slog"

	"github.com/coreos/go-systemd/v22/daemon"
)

// notify tells the service manager that started this process (systemd, or podman
// on its behalf) what it is at; without one it does nothing. That it can't be told
// is worth a warning: it ends what does not become ready.
func notify(log *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("the service manager could not be told", slog.String("state", state), slog.Any("error", err))
	}
}
