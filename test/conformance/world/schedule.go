// SPDX-License-Identifier: MIT

package world

import (
	"container/heap"
	"sync"
	"time"
)

// schedule does things later, one at a time, in the order of their times.
type schedule struct {
	mu       sync.Mutex
	waiting  events
	numbered int
	changed  chan struct{}
	stop     chan struct{}
	done     sync.WaitGroup
}

// event is something to be done at a time.
type event struct {
	at     time.Time
	number int
	do     func()
}

func newSchedule() *schedule {
	s := &schedule{changed: make(chan struct{}, 1), stop: make(chan struct{})}
	s.done.Go(s.run)
	return s
}

// after has something done after a time.
func (s *schedule) after(d time.Duration, do func()) {
	s.mu.Lock()
	s.numbered++
	heap.Push(&s.waiting, event{time.Now().Add(d), s.numbered, do})
	s.mu.Unlock()
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// restart gives up everything that waits.
func (s *schedule) restart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = nil
}

// close ends the schedule and waits for what it is doing.
func (s *schedule) close() {
	close(s.stop)
	s.done.Wait()
}

func (s *schedule) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		do, wait := s.next()
		if do != nil {
			do()
			continue
		}
		if wait >= 0 {
			timer.Reset(wait)
		} else {
			timer.Stop()
		}
		select {
		case <-timer.C:
		case <-s.changed:
		case <-s.stop:
			return
		}
	}
}

// next returns what is due, or how long to wait for it; less than 0 is for
// ever.
func (s *schedule) next() (do func(), wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) == 0 {
		return nil, -1
	}
	if wait := time.Until(s.waiting[0].at); wait > 0 {
		return nil, wait
	}
	e, _ := heap.Pop(&s.waiting).(event)
	return e.do, 0
}

// events is a heap by time.
type events []event

// Len implements [heap.Interface].
func (e events) Len() int { return len(e) }

// Less implements [heap.Interface].
func (e events) Less(i, j int) bool {
	if !e[i].at.Equal(e[j].at) {
		return e[i].at.Before(e[j].at)
	}
	return e[i].number < e[j].number
}

// Swap implements [heap.Interface].
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }

// Push implements [heap.Interface].
func (e *events) Push(x any) {
	if v, ok := x.(event); ok {
		*e = append(*e, v)
	}
}

// Pop implements [heap.Interface].
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}
