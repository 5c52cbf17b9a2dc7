// Accounts at heights, tags and hashes (EIP-1898). The state before block 1 is no longer kept.
>> {"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":["{sender}","latest"]}
<< {"jsonrpc":"2.0","id":1,"result":"0x3eb"}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":["{sender}"]}
<< {"jsonrpc":"2.0","id":1,"result":"0x3eb"}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":["{sender}","pending"]}
<< {"jsonrpc":"2.0","id":1,"result":"0x3eb"}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":["{sender}","safe"]}
<< {"jsonrpc":"2.0","id":1,"result":"0x3eb"}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":["{sender}","0x1"]}
<< {"jsonrpc":"2.0","id":1,"result":"0x3e9"}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":["{sender}","earliest"]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"state of block 0: state at this height is no longer kept (pruned)"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":["{sender}","0x9"]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"header not found"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":["{sender}",{"blockHash":"{block2}","requireCanonical":true}]}
<< {"jsonrpc":"2.0","id":1,"result":"0x3ea"}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":["{sender}",{"blockNumber":"0x2"}]}
<< {"jsonrpc":"2.0","id":1,"result":"0x3ea"}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":["{sender}","{block1}"]}
<< {"jsonrpc":"2.0","id":1,"result":"0x3e9"}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":["{sender}",{"blockHash":"{unknown}"}]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"header not found"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":["{sender}",{"blockHash":"{block1}","blockNumber":"0x1"}]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"invalid argument 1: cannot specify both BlockHash and BlockNumber, choose one or the other"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":["{sender}",{}]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"invalid argument 1: must specify either BlockHash or BlockNumber"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":["{unknown}","latest"]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"invalid argument 0: hex string has length 64, want 40 for common.Address"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":["0x0000000000000000000000000000000000000001","latest"]}
<< {"jsonrpc":"2.0","id":1,"result":"0x0"}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getCode","params":["{token}","latest"]}
<< {"jsonrpc":"2.0","id":1,"result":"0x6080"}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getCode","params":["{sender}","latest"]}
<< {"jsonrpc":"2.0","id":1,"result":"0x"}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getCode","params":["0x0000000000000000000000000000000000000001","latest"]}
<< {"jsonrpc":"2.0","id":1,"result":"0x"}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getStorageAt","params":["{token}","0x00000000000000000000000000000000000000000000000000000000000000aa","latest"]}
<< {"jsonrpc":"2.0","id":1,"result":"0x0000000000000000000000000000000000000000000000000000000000000003"}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getStorageAt","params":["{token}","0xaa","0x1"]}
<< {"jsonrpc":"2.0","id":1,"result":"0x0000000000000000000000000000000000000000000000000000000000000001"}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getStorageAt","params":["{token}","0x0","latest"]}
<< {"jsonrpc":"2.0","id":1,"result":"0x0000000000000000000000000000000000000000000000000000000000000000"}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getStorageAt","params":["{token}","0xzz","latest"]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"invalid hex in storage key: \"0xzz\""}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getStorageAt","params":["{token}","0x00000000000000000000000000000000000000000000000000000000000000aabb","latest"]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"storage key too long (want at most 32 bytes): \"0x00000000000000000000000000000000000000000000000000000000000000aabb\""}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getProof","params":["{token}",["0x00000000000000000000000000000000000000000000000000000000000000aa","0x1"],"0x2"]}
<< {"jsonrpc":"2.0","id":1,"result":{"address":"0x7070000000000000000000000000000000000001","accountProof":["0x01","0x0203"],"balance":"0x0","codeHash":"0x1a578b7a4b0b5755db6d121b4118d4bc68fe170dca840c59bc922f14175a76b0","nonce":"0x1","storageHash":"0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421","storageProof":[{"key":"0x00000000000000000000000000000000000000000000000000000000000000aa","value":"0x2","proof":["0x04"]},{"key":"0x1","value":"0x0","proof":["0x04"]}]}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getProof","params":["{sender}",[],"latest"]}
<< {"jsonrpc":"2.0","id":1,"result":{"address":"0x71562b71999873db5b286df957af199ec94617f7","accountProof":["0x01","0x0203"],"balance":"0x3eb","codeHash":"0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470","nonce":"0x3","storageHash":"0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421","storageProof":[]}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getProof","params":["{sender}",["0x1","0x2","0x3"],"latest"]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"too many storage keys: 3, at most 2"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getProof","params":["{sender}",["hello"],"latest"]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"invalid hex in storage key: \"hello\""}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getProof","params":["{sender}",[],"0x9"]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"header not found"}}
