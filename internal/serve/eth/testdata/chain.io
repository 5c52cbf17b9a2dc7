// What a node and a chain say of themselves.
>> {"jsonrpc":"2.0","id":1,"method":"eth_chainId"}
<< {"jsonrpc":"2.0","id":1,"result":"0x539"}
>> {"jsonrpc":"2.0","id":1,"method":"net_version"}
<< {"jsonrpc":"2.0","id":1,"result":"1337"}
>> {"jsonrpc":"2.0","id":1,"method":"net_listening"}
<< {"jsonrpc":"2.0","id":1,"result":true}
>> {"jsonrpc":"2.0","id":1,"method":"net_peerCount"}
<< {"jsonrpc":"2.0","id":1,"result":"0x3"}
>> {"jsonrpc":"2.0","id":1,"method":"web3_clientVersion"}
<< {"jsonrpc":"2.0","id":1,"result":"jialing/v0-test/linux-amd64/go1.26"}
>> {"jsonrpc":"2.0","id":1,"method":"web3_sha3","params":["0x68656c6c6f20776f726c64"]}
<< {"jsonrpc":"2.0","id":1,"result":"0x47173285a8d7341e5e972fc677286384f802f8ef42a5ec5f03bbfa254cb01fad"}
>> {"jsonrpc":"2.0","id":1,"method":"eth_blockNumber","params":[]}
<< {"jsonrpc":"2.0","id":1,"result":"0x3"}
>> {"jsonrpc":"2.0","id":1,"method":"eth_syncing"}
<< {"jsonrpc":"2.0","id":1,"result":false}
>> {"jsonrpc":"2.0","id":1,"method":"eth_accounts"}
<< {"jsonrpc":"2.0","id":1,"result":[]}
>> {"jsonrpc":"2.0","id":1,"method":"eth_coinbase"}
<< {"jsonrpc":"2.0","id":1,"result":"0x0000000000000000000000000000000000000011"}
>> {"jsonrpc":"2.0","id":1,"method":"eth_mining"}
<< {"jsonrpc":"2.0","id":1,"result":false}
>> {"jsonrpc":"2.0","id":1,"method":"eth_hashrate"}
<< {"jsonrpc":"2.0","id":1,"result":"0x0"}
>> {"jsonrpc":"2.0","id":1,"method":"eth_gasPrice"}
<< {"jsonrpc":"2.0","id":1,"result":"0x8"}
>> {"jsonrpc":"2.0","id":1,"method":"eth_maxPriorityFeePerGas"}
<< {"jsonrpc":"2.0","id":1,"result":"0x1"}
>> {"jsonrpc":"2.0","id":1,"method":"eth_blobBaseFee"}
<< {"jsonrpc":"2.0","id":1,"result":"0x1"}
>> {"jsonrpc":"2.0","id":1,"method":"eth_sendTransaction","params":[{}]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"the method eth_sendTransaction does not exist/is not available"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_fillTransaction","params":[{}]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"the method eth_fillTransaction does not exist/is not available"}}
>> {"jsonrpc":"2.0","id":1,"method":"rpc_modules"}
<< {"jsonrpc":"2.0","id":1,"result":{"debug":"1.0","eth":"1.0","jl":"1.0","net":"1.0","rpc":"1.0","txpool":"1.0","web3":"1.0"}}
>> {"jsonrpc":"2.0","id":1,"method":"txpool_status"}
<< {"jsonrpc":"2.0","id":1,"result":{"pending":"0x1","queued":"0x0"}}
>> {"jsonrpc":"2.0","id":1,"method":"txpool_content"}
<< {"jsonrpc":"2.0","id":1,"result":{"pending":{"0x71562b71999873DB5b286dF957af199Ec94617F7":{"12":{"blockHash":null,"blockNumber":null,"blockTimestamp":null,"transactionIndex":null,"from":"0x71562b71999873db5b286df957af199ec94617f7","gas":"0xea60","gasPrice":"0x64","maxFeePerGas":"0x64","maxPriorityFeePerGas":"0x2","hash":"0x301de6550e5bf3410bba6cee686b84d62d9b06def977531c9faae6bf0a28f6cf","input":"0x","nonce":"0xc","to":"0x7070000000000000000000000000000000000001","value":"0x400000000000000000","type":"0x2","accessList":[],"chainId":"0x539","v":"0x0","r":"0x76b52184ee10c8a01de1ad68b88b645d672a15dab31e9c9e24e596c98a6d1b0","s":"0x4c9a31ef21a632017e069565783fe14b8c726d05d92807a6e4514bdf2c5e7fa9","yParity":"0x0"}}},"queued":{"0x7070000000000000000000000000000000000001":{}}}}
>> {"jsonrpc":"2.0","id":1,"method":"txpool_contentFrom","params":["{sender}"]}
<< {"jsonrpc":"2.0","id":1,"result":{"pending":{"12":{"blockHash":null,"blockNumber":null,"blockTimestamp":null,"transactionIndex":null,"from":"0x71562b71999873db5b286df957af199ec94617f7","gas":"0xea60","gasPrice":"0x64","maxFeePerGas":"0x64","maxPriorityFeePerGas":"0x2","hash":"0x301de6550e5bf3410bba6cee686b84d62d9b06def977531c9faae6bf0a28f6cf","input":"0x","nonce":"0xc","to":"0x7070000000000000000000000000000000000001","value":"0x400000000000000000","type":"0x2","accessList":[],"chainId":"0x539","v":"0x0","r":"0x76b52184ee10c8a01de1ad68b88b645d672a15dab31e9c9e24e596c98a6d1b0","s":"0x4c9a31ef21a632017e069565783fe14b8c726d05d92807a6e4514bdf2c5e7fa9","yParity":"0x0"}},"queued":{}}}
>> {"jsonrpc":"2.0","id":1,"method":"txpool_contentFrom","params":["{token}"]}
<< {"jsonrpc":"2.0","id":1,"result":{"pending":{},"queued":{}}}
>> {"jsonrpc":"2.0","id":1,"method":"txpool_inspect"}
<< {"jsonrpc":"2.0","id":1,"result":{"pending":{"0x71562b71999873DB5b286dF957af199Ec94617F7":{"12":"0x7070000000000000000000000000000000000001: 1180591620717411303424 wei + 60000 gas × 100 wei"}},"queued":{"0x7070000000000000000000000000000000000001":{}}}}
