// Package s3 is Amazon's S3 API on the object service's control: buckets are the
// containers of the project that an access key is for, as upstream's s3api has it.
// Paths are /bucket/key; requests are signed with version 4, in headers, in the
// address, or chunk by chunk.
//
// A multipart upload's parts are objects of the container BUCKET+segments, named
// KEY/UPLOAD/NUMBER beside a marker KEY/UPLOAD; what is completed is a static large
// object of them.
// See https://docs.aws.amazon.com/AmazonS3/latest/API/
package s3
