// Package s3 keeps images in a bucket of any server that speaks S3.
//
// The bucket may hold other things: the driver looks only at objects below its
// prefix whose names are keys. A blob is written as a multipart upload, which is
// all that a server shows of it before it is committed. The server must offer
// ListMultipartUploads, by which begun blobs are found; the credentials must be
// allowed s3:ListBucket, s3:ListBucketMultipartUploads, s3:GetObject,
// s3:PutObject, s3:DeleteObject and s3:AbortMultipartUpload.
package s3
