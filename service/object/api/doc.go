// Package api is Swift's REST API, version 1: accounts, containers and objects, with
// what upstream's pipeline has before them (tempurl, formpost, staticweb, bulk, large
// objects). See https://docs.openstack.org/api-ref/object-store/
package api
