// eth_getLogs. This node answers at most 3 blocks and 3 logs, and takes 4 terms.
>> {"jsonrpc":"2.0","id":1,"method":"eth_getLogs","params":[{"fromBlock":"0x2","toBlock":"0x3"}]}
<< {"jsonrpc":"2.0","id":1,"result":[{"address":"0x7070000000000000000000000000000000000001","topics":["0x00000000000000000000000000000000000000000000000000000000000000aa","0x00000000000000000000000000000000000000000000000000000000000000bb"],"data":"0x01ff","blockNumber":"0x2","transactionHash":"0x429d4a7b9ad411b8ce9c9a440a388cd08a8137f5794c9a7412891b97d99292dd","transactionIndex":"0x1","blockHash":"0x2ef9151cf346670a0efbe76b5c5f3042bdc02601ac5efd094fbc3ada55e89690","blockTimestamp":"0x6553f102","logIndex":"0x0","removed":false},{"address":"0x7070000000000000000000000000000000000001","topics":["0x00000000000000000000000000000000000000000000000000000000000000aa","0x00000000000000000000000000000000000000000000000000000000000000bb"],"data":"0x03ff","blockNumber":"0x2","transactionHash":"0x1b87e51f37dfb575458f286c501c85a246352e7096d304fcc1921441b89fca8f","transactionIndex":"0x3","blockHash":"0x2ef9151cf346670a0efbe76b5c5f3042bdc02601ac5efd094fbc3ada55e89690","blockTimestamp":"0x6553f102","logIndex":"0x1","removed":false}]}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getLogs","params":[{"fromBlock":"0x1","toBlock":"latest","address":"{token}","topics":["0x00000000000000000000000000000000000000000000000000000000000000aa","0x00000000000000000000000000000000000000000000000000000000000000bb"]}]}
<< {"jsonrpc":"2.0","id":1,"result":[{"address":"0x7070000000000000000000000000000000000001","topics":["0x00000000000000000000000000000000000000000000000000000000000000aa","0x00000000000000000000000000000000000000000000000000000000000000bb"],"data":"0x01ff","blockNumber":"0x2","transactionHash":"0x429d4a7b9ad411b8ce9c9a440a388cd08a8137f5794c9a7412891b97d99292dd","transactionIndex":"0x1","blockHash":"0x2ef9151cf346670a0efbe76b5c5f3042bdc02601ac5efd094fbc3ada55e89690","blockTimestamp":"0x6553f102","logIndex":"0x0","removed":false},{"address":"0x7070000000000000000000000000000000000001","topics":["0x00000000000000000000000000000000000000000000000000000000000000aa","0x00000000000000000000000000000000000000000000000000000000000000bb"],"data":"0x03ff","blockNumber":"0x2","transactionHash":"0x1b87e51f37dfb575458f286c501c85a246352e7096d304fcc1921441b89fca8f","transactionIndex":"0x3","blockHash":"0x2ef9151cf346670a0efbe76b5c5f3042bdc02601ac5efd094fbc3ada55e89690","blockTimestamp":"0x6553f102","logIndex":"0x1","removed":false}]}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getLogs","params":[{"fromBlock":"0x2","toBlock":"0x2","address":["{token}","{sender}"],"topics":[null,["0x00000000000000000000000000000000000000000000000000000000000000bb"]]}]}
<< {"jsonrpc":"2.0","id":1,"result":[{"address":"0x7070000000000000000000000000000000000001","topics":["0x00000000000000000000000000000000000000000000000000000000000000aa","0x00000000000000000000000000000000000000000000000000000000000000bb"],"data":"0x01ff","blockNumber":"0x2","transactionHash":"0x429d4a7b9ad411b8ce9c9a440a388cd08a8137f5794c9a7412891b97d99292dd","transactionIndex":"0x1","blockHash":"0x2ef9151cf346670a0efbe76b5c5f3042bdc02601ac5efd094fbc3ada55e89690","blockTimestamp":"0x6553f102","logIndex":"0x0","removed":false},{"address":"0x7070000000000000000000000000000000000001","topics":["0x00000000000000000000000000000000000000000000000000000000000000aa","0x00000000000000000000000000000000000000000000000000000000000000bb"],"data":"0x03ff","blockNumber":"0x2","transactionHash":"0x1b87e51f37dfb575458f286c501c85a246352e7096d304fcc1921441b89fca8f","transactionIndex":"0x3","blockHash":"0x2ef9151cf346670a0efbe76b5c5f3042bdc02601ac5efd094fbc3ada55e89690","blockTimestamp":"0x6553f102","logIndex":"0x1","removed":false}]}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getLogs","params":[{"fromBlock":"0x1","toBlock":"0x1","topics":[["0x00000000000000000000000000000000000000000000000000000000000000aa",null],[]]}]}
<< {"jsonrpc":"2.0","id":1,"result":[]}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getLogs","params":[{"blockHash":"{block1}"}]}
<< {"jsonrpc":"2.0","id":1,"result":[{"address":"0x7070000000000000000000000000000000000001","topics":["0x00000000000000000000000000000000000000000000000000000000000000aa"],"data":"0x01ff","blockNumber":"0x1","transactionHash":"0x890ba7c43c24ee14d91f2812164ee3558211e569cf1a56c5c441683e3f3e0636","transactionIndex":"0x1","blockHash":"0xdadc7b4263cbf0f0ab6661b5171c21efca0ee24b1b55af55510a02597f8355b0","blockTimestamp":"0x6553f101","logIndex":"0x0","removed":false},{"address":"0x7070000000000000000000000000000000000001","topics":["0x00000000000000000000000000000000000000000000000000000000000000aa"],"data":"0x03ff","blockNumber":"0x1","transactionHash":"0x0cad4b353b8640e9a4af674ecf880959c5ee78ec6f82368bb856ebc496122d77","transactionIndex":"0x3","blockHash":"0xdadc7b4263cbf0f0ab6661b5171c21efca0ee24b1b55af55510a02597f8355b0","blockTimestamp":"0x6553f101","logIndex":"0x1","removed":false}]}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getLogs","params":[{}]}
<< {"jsonrpc":"2.0","id":1,"result":[]}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getLogs","params":[{"address":"{sender}","fromBlock":"0x1"}]}
<< {"jsonrpc":"2.0","id":1,"result":[]}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getLogs","params":[{"fromBlock":"0x1","toBlock":"0x3"}]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"query returns too many logs"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getLogs","params":[{"fromBlock":"0x0","toBlock":"0x3"}]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32005,"message":"exceed maximum block range 3"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getLogs","params":[{"fromBlock":"0x2","toBlock":"0x1"}]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"invalid block range params"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getLogs","params":[{"fromBlock":"latest","toBlock":"0x1"}]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"invalid block range params"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getLogs","params":[{"fromBlock":"0x1","toBlock":"0x9"}]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"block range extends beyond current head block"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getLogs","params":[{"blockHash":"{unknown}"}]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"unknown block"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getLogs","params":[{"blockHash":"{block1}","fromBlock":"0x1"}]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"invalid argument 0: cannot specify both blockHash and fromBlock/toBlock, choose one or the other"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getLogs","params":[{"address":"0x12"}]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"invalid argument 0: invalid address: hex string has length 2, want 40 for common.Address"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getLogs","params":[{"address":7}]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"invalid argument 0: invalid address: json: cannot unmarshal non-string into Go value of type common.Address"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getLogs","params":[{"topics":["0xaa"]}]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"invalid argument 0: invalid topic: hex string has length 2, want 64 for common.Hash"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getLogs","params":[{"topics":[null,null,null,null,null]}]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"invalid argument 0: exceed max topics"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getLogs","params":[{"address":["{token}","{token}","{token}","{token}","{token}"]}]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"exceed max addresses: 5, at most 4"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getLogs","params":[{"topics":{}}]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"invalid argument 0: json: cannot unmarshal object into Go struct field .topics of type []json.RawMessage"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getFilterChanges","params":["0x1"]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"filter not found"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_getFilterLogs","params":["0x1"]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"filter not found"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_uninstallFilter","params":["0x1"]}
<< {"jsonrpc":"2.0","id":1,"result":false}
