// SPDX-License-Identifier: MIT

// Command bos is the client of the Boot Orchestration Service.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"bos/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := cli.Main(ctx, cli.OS())
	stop()
	os.Exit(status)
}
