// Package vision holds the words that every part of glimpsed shares: what a
// picture is, what a classifier says of it and how long that took. It is pure
// data, imports nothing of the project and never touches a device or a network.
package vision
