// SPDX-License-Identifier: MIT

// Package docs runs the commands in the pages of docs/, against a real server
// with a simulated site, and compares what they print with what the pages show.
//
// A page marks its fenced blocks behind the fence:
//
//	sh               commands; they are run one block after the other
//	sh exit=N        they end with this exit status
//	sh again         they are run again until they show what the page shows
//	sh background    a program that serves until the page ends
//	sh setup         they are run before every other page too
//	sh no-run        they can't be run here; the test knows how many there are
//	LANGUAGE file=F  the content of a file
//	output           what the block before it prints; times and widths of columns
//	                 don't count, and … stands for what is left out
//
// UPDATE=1 in the environment writes what was printed into the pages, where that
// differs; what is to be left out must be taken out by hand.
package docs
