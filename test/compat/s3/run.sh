#!/bin/bash
# Drives the S3 API of `kilonova dev` with the distribution's aws and s3cmd: what goes in comes out, whichever client
# put it there, in one part or in many.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../devcloud.sh"
need_package openstack python3-openstackclient
need_package aws awscli
need_package s3cmd s3cmd
start_cloud
export OS_CLIENT_CONFIG_FILE=$clouds OS_CLOUD=kilonova
cd "$work"
mkdir s3 && cd s3

passed=0
step() { # WHAT COMMAND...
    local what=$1 rc=0
    shift
    "$@" >out 2>&1 || rc=$?
    if [ $rc != 0 ]; then echo "FAIL $what: $*"; cat out; exit 1; fi
    passed=$((passed + 1))
}
refused() { # WHAT CODE COMMAND...
    local what=$1 code=$2
    shift 2
    if "$@" >out 2>&1; then echo "FAIL $what: it was not refused: $*"; exit 1; fi
    grep -q "$code" out || { echo "FAIL $what: no $code"; cat out; exit 1; }
    passed=$((passed + 1))
}
said() { grep -q -- "$1" out || { echo "FAIL: no $1 in"; cat out; exit 1; }; }

openstack ec2 credentials create -f json >key
access=$(python3 -c 'import json; print(json.load(open("key"))["access"])')
secret=$(python3 -c 'import json; print(json.load(open("key"))["secret"])')
export AWS_ACCESS_KEY_ID=$access AWS_SECRET_ACCESS_KEY=$secret AWS_DEFAULT_REGION=us-east-1 AWS_EC2_METADATA_DISABLED=true HOME=$PWD
aws="aws --endpoint-url $url"
s3="s3cmd --access_key=$access --secret_key=$secret --host=${url#http://} --host-bucket= --no-ssl --no-preserve --no-progress"
head -c 3000 /dev/urandom > small; head -c 20000000 /dev/urandom > large; : > empty

step "aws makes a bucket" $aws s3 mb s3://box
refused "it exists" BucketAlreadyOwnedByYou $aws s3api create-bucket --bucket box
refused "a bad name" InvalidBucketName $aws s3api create-bucket --bucket x_
step "aws lists buckets" $aws s3 ls; said box
step "aws puts a small object" $aws s3 cp small "s3://box/dir/small + ü"
step "aws puts a large one, in parts" $aws s3 cp large s3://box/large
step "aws puts an empty one" $aws s3 cp empty s3://box/empty
step "s3cmd gets the small one" $s3 get "s3://box/dir/small + ü" small.back
cmp small small.back
step "s3cmd gets the large one" $s3 get s3://box/large large.back
cmp large large.back
step "s3cmd makes a bucket" $s3 mb s3://second
step "s3cmd puts a large one, in parts" $s3 --multipart-chunk-size-mb=5 put large s3://second/large
step "aws gets it" $aws s3 cp s3://second/large large.2
cmp large large.2
step "aws gets a part" $aws s3api get-object --bucket second --key large --range bytes=5242870-5242889 part
cmp part <(tail -c +5242871 large | head -c 20)
step "aws copies it" $aws s3 cp s3://second/large s3://box/copy
step "aws gets the copy" $aws s3 cp s3://box/copy large.3
cmp large large.3
step "aws lists" $aws s3 ls s3://box/; said 'PRE dir/'; said 'large$'
step "aws lists page by page" $aws s3api list-objects-v2 --bucket box --page-size 1 --query 'length(Contents)'; said '^4$'
step "aws heads" $aws s3api head-object --bucket box --key large; said '"ContentLength": 20000000'
step "aws asks where" $aws s3api get-bucket-location --bucket box
step "aws asks who may" $aws s3api get-bucket-acl --bucket box; said FULL_CONTROL
step "aws makes an address" $aws s3 presign "s3://box/dir/small + ü"
step "curl follows it" curl -sf -o small.3 "$(cat out)"
cmp small small.3
step "aws syncs" $aws s3 sync s3://box there
cmp there/large large
step "metadata" $aws s3api put-object --bucket box --key meta --body small --metadata colour=blue --content-type text/x
step "they come back" $aws s3api head-object --bucket box --key meta; said '"colour": "blue"'; said text/x
step "an upload is begun" $aws s3api create-multipart-upload --bucket box --key begun --query UploadId --output text
id=$(cat out)
step "it is listed" $aws s3api list-multipart-uploads --bucket box; said "$id"
step "a part comes" $aws s3api upload-part --bucket box --key begun --upload-id "$id" --part-number 1 --body small
step "parts are listed" $aws s3api list-parts --bucket box --key begun --upload-id "$id"; said '"Size": 3000'
step "it is given up" $aws s3api abort-multipart-upload --bucket box --key begun --upload-id "$id"
refused "it is gone" NoSuchUpload $aws s3api list-parts --bucket box --key begun --upload-id "$id"
refused "no such key" NoSuchKey $aws s3api get-object --bucket box --key nothing x
refused "no such bucket" NoSuchBucket $aws s3 ls s3://nowhere
refused "a wrong secret" SignatureDoesNotMatch env AWS_SECRET_ACCESS_KEY=guessed $aws s3 ls
refused "nobody's key" InvalidAccessKeyId env AWS_ACCESS_KEY_ID=nobody $aws s3 ls
refused "a bucket with something in it" BucketNotEmpty $aws s3 rb s3://second
step "Swift has what S3 was given" openstack object save --file large.4 box large
cmp large large.4
step "s3cmd deletes" $s3 del s3://second/large
step "s3cmd removes a bucket" $s3 rb s3://second
step "aws removes a bucket with all that is in it" $aws s3 rb --force s3://box
step "nothing is left" openstack container list -f value; [ ! -s out ] || { cat out; echo "FAIL: containers are left"; exit 1; }

errors=$(unexpected)
if [ -n "$errors" ]; then echo "==> the cloud logged errors"; echo "$errors" | cut -c1-400 | head -n 20; exit 1; fi
echo "$passed steps passed"
