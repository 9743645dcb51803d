// Package remote is compute's neighbours over their REST APIs: the interfaces of
// package compute (neighbours.go) in the words of image, network and placement.
// What a neighbour says that compute has no word for ends here. Of Placement's last
// answers the candidates are remembered, to be told no more than what has changed since
// (candidates_again.go).
package remote
