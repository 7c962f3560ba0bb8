// SPDX-License-Identifier: MIT

package legacy

// StoredKey is for tests that fill a Redis as the original does.
var StoredKey = storedKey
