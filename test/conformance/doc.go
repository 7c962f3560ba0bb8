// SPDX-License-Identifier: MIT

// Package conformance holds BOS against the recorded behaviour of the original
// service (2.50.0, looked at from outside, in a stub world): testdata has scenarios of its API and traces of its operators, and
// says where ours is meant to differ (a step's or trace's "ours", with the
// reason). What is not excused there or in deviations.json is a defect.
//
//   - The scenarios are played against the real server, with an embedded store,
//     over real HTTP; the traces against the whole of BOS in virtual time. Both
//     are part of the ordinary tests.
//   - With the build tag traces (make conformance-traces) the traces are played
//     over real HTTP with an embedded store too, many at once, since they wait
//     for real time.
//   - If BOS_CONFORM_DIR names the folder of the recorder's own tools, the stub
//     world and the rules of comparison here are held against the originals
//     there.
package conformance
