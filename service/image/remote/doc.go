// Package remote reaches the services that the image service needs over their
// REST APIs: image services of other regions, found in the identity service's
// catalog, and the limits that it has for images.
package remote
