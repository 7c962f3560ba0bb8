// SPDX-License-Identifier: MIT

package demo

import (
	"io"

	tea "charm.land/bubbletea/v2"
)

// Screen shows progress on a terminal, in place. It must be closed.
type Screen struct {
	program *tea.Program
	done    chan struct{}
}

// NewScreen begins to draw on out, a terminal. environ says what it can do. The
// keyboard is left alone, so that Ctrl-C is what it is elsewhere.
func NewScreen(out io.Writer, environ []string) *Screen {
	s := &Screen{
		program: tea.NewProgram(display{}, tea.WithOutput(out), tea.WithInput(nil), tea.WithEnvironment(environ),
			tea.WithoutSignalHandler()),
		done: make(chan struct{}),
	}
	go func() {
		defer close(s.done)
		// What can't be drawn is not worth failing for: the summary follows.
		_, _ = s.program.Run()
	}()
	return s
}

// Show draws.
func (s *Screen) Show(p Progress) { s.program.Send(p) }

// Close leaves the last picture as it is and gives the terminal back.
func (s *Screen) Close() {
	s.program.Quit()
	<-s.done
}

// display is what the terminal shows.
type display struct {
	progress      Progress
	width, height int
}

// Init implements [tea.Model].
func (d display) Init() tea.Cmd { return nil }

// Update implements [tea.Model].
func (d display) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case Progress:
		d.progress = msg
	case tea.WindowSizeMsg:
		d.width, d.height = msg.Width, msg.Height
	}
	return d, nil
}

// View implements [tea.Model].
func (d display) View() tea.View {
	if d.width == 0 || d.progress.Nodes == 0 {
		return tea.NewView("")
	}
	return tea.NewView(picture(d.progress, d.width, d.height))
}
