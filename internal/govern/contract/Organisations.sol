// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @dev What this contract asks the contract Validators, which the genesis puts at 0x0000000000000000000000000000000000001001.
interface IValidators {
    struct Member {
        uint64 id;
        address account;
        string name;
        string endpoint;
        bytes publicKey;
    }

    function validators() external view returns (Member[] memory);

    function validatorOf(address account) external view returns (uint64 id);

    function quorum(uint256 n) external pure returns (uint256);
}

/// @title The organisations whose certificates let nodes in
/// @notice Holds the root certificates under which each organisation's nodes are admitted, and what was revoked. The validators
/// register, replace and remove organisations by their votes; an organisation's own admin revokes its certificates and sets its
/// intermediates at once. The genesis puts it at 0x0000000000000000000000000000000000001002; every node reads it there.
/// @dev Nodes read `ids`, `organisations` and `changedAt` straight from storage: their slots, and the order and types of Organisation's
/// fields, are part of the protocol (internal/govern/organisations.go). Certificates are DER and not looked into here.
contract Organisations {
    /// @notice What a proposal does: register an organisation or replace its roots and admin, remove it, or revoke serial numbers.
    enum Kind {
        Register,
        Remove,
        Revoke
    }

    struct Organisation {
        uint64 id; // given once, so that what was revoked under replaced roots does not count under the new ones
        address admin;
        string name; // subject O of its nodes' certificates
        bytes[] roots;
        bytes[] intermediates;
        uint256[] revoked; // serial numbers
    }

    struct Proposal {
        Kind kind;
        uint64 proposer;
        uint64 expires; // the last block in which one may vote; 0: there is no such proposal
        address admin;
        string name;
        bytes[] roots;
        uint256[] serials;
        uint64[] voters; // those who left included
    }

    IValidators private constant VALIDATORS = IValidators(0x0000000000000000000000000000000000001001);

    /// @notice Every node reads all of it after a change: these bound that, together with MAX_CERTIFICATE, to some 50,000 slots.
    uint256 public constant MAX_ORGANISATIONS = 64;
    uint256 public constant MAX_ROOTS = 4;
    uint256 public constant MAX_INTERMEDIATES = 8;
    uint256 public constant MAX_REVOKED = 1024;
    /// @notice The longest certificate in DER, and name (64 characters of four bytes), in bytes.
    uint256 public constant MAX_CERTIFICATE = 2048;
    uint256 public constant MAX_NAME = 256;
    /// @notice How many serial numbers one call may revoke: they fit into a transaction's gas.
    uint256 public constant MAX_SERIALS = 128;
    /// @notice How many proposals of one validator may be open: it bounds what is stored.
    uint256 public constant MAX_OPEN = 4;
    /// @notice For how many blocks one may vote.
    uint64 public constant LIFETIME = 1_000_000;

    event Proposed(uint64 indexed proposal, uint64 indexed proposer, Kind kind, string name, uint64 expires);
    /// @notice `votes` of present validators, of `needed`.
    event Voted(uint64 indexed proposal, uint64 indexed validator, uint256 votes, uint256 needed);
    event Withdrawn(uint64 indexed proposal);
    event Lapsed(uint64 indexed proposal);
    event Registered(uint64 indexed proposal, string name, address admin, uint256 roots);
    event Removed(uint64 indexed proposal, string name);
    event Revoked(string name, uint256[] serials, address by);
    event IntermediatesSet(string name, uint256 count);
    event AdminChanged(string name, address admin);

    error NotAValidator(address account);
    error NotTheAdmin(string name, address account);
    error NotTheProposer(uint64 proposal, uint64 proposer);
    error NoSuchOrganisation(string name);
    error NoSuchProposal(uint64 proposal);
    error Expired(uint64 proposal, uint64 expired);
    error AlreadyVoted(uint64 proposal, uint64 validator);
    error TooManyOpen(uint64 validator);
    error NotEnoughVotes(uint256 votes, uint256 needed);
    error TooManyOrganisations();
    error TooManyRevoked(string name);
    error LastOrganisation();
    error BadName(uint256 length);
    error BadAccount();
    error BadCertificates(uint256 count);
    error BadCertificate(uint256 length);
    error BadSerials(uint256 count);
    error BadSerial(uint256 serial);

    uint64[] private ids; // slot 0; of the present organisations, in no order
    /// @notice The last block that changed an organisation; 0 for none.
    uint64 public changedAt; // slot 1: written by every change and by nothing else, so that nodes look no further
    uint64 private lastId; // slot 1
    uint256 private lastProposal; // slot 2, by its size: it changes without any organisation changing
    mapping(bytes32 nameHash => uint64) private idOf; // slot 3
    mapping(uint64 id => Organisation) private organisations; // slot 4; those that went stay, out of sight: to clear them costs more
    mapping(uint64 id => mapping(uint256 serial => bool)) private isRevoked;
    mapping(uint64 validator => uint64[]) private openOf; // MAX_OPEN at most each
    mapping(uint64 proposal => Proposal) private proposals;

    /// @notice Proposes an organisation, or other roots and another admin for one that is there, and votes for that. Where none of the
    /// former roots stays, intermediates and revocations begin anew.
    function proposeRegister(string calldata name, address admin, bytes[] calldata roots) external returns (uint64 proposal) {
        if (bytes(name).length == 0 || bytes(name).length > MAX_NAME) revert BadName(bytes(name).length);
        if (admin == address(0)) revert BadAccount();
        if (roots.length == 0 || roots.length > MAX_ROOTS) revert BadCertificates(roots.length);
        for (uint256 i = 0; i < roots.length; ++i) _checkCertificate(roots[i]);
        Proposal storage p;
        (proposal, p) = _propose(Kind.Register, name);
        p.admin = admin;
        for (uint256 i = 0; i < roots.length; ++i) p.roots.push(roots[i]);
        _vote(proposal, p, p.proposer);
    }

    /// @notice Proposes that an organisation's nodes be admitted no longer, and votes for that.
    function proposeRemove(string calldata name) external returns (uint64 proposal) {
        _organisation(name);
        Proposal storage p;
        (proposal, p) = _propose(Kind.Remove, name);
        _vote(proposal, p, p.proposer);
    }

    /// @notice Proposes to revoke certificates of an organisation, and votes for that.
    function proposeRevoke(string calldata name, uint256[] calldata serials) external returns (uint64 proposal) {
        _organisation(name);
        _checkSerials(serials);
        Proposal storage p;
        (proposal, p) = _propose(Kind.Revoke, name);
        p.serials = serials;
        _vote(proposal, p, p.proposer);
    }

    /// @notice Votes for an open proposal. The vote that makes a quorum applies it.
    function vote(uint64 proposal) external {
        uint64 voter = _caller();
        Proposal storage p = _open(proposal);
        for (uint256 i = 0; i < p.voters.length; ++i) {
            if (p.voters[i] == voter) revert AlreadyVoted(proposal, voter);
        }
        _vote(proposal, p, voter);
    }

    /// @notice Applies a proposal that got its votes by others' leaving.
    function execute(uint64 proposal) external {
        _caller();
        Proposal storage p = _open(proposal);
        (uint256 votes, uint256 needed) = _votes(p);
        if (votes < needed) revert NotEnoughVotes(votes, needed);
        _apply(proposal, p);
    }

    /// @notice Takes back a proposal of the caller.
    function withdraw(uint64 proposal) external {
        uint64 id = _caller();
        Proposal storage p = proposals[proposal];
        if (p.expires == 0) revert NoSuchProposal(proposal);
        if (p.proposer != id) revert NotTheProposer(proposal, p.proposer);
        _close(proposal, id);
        emit Withdrawn(proposal);
    }

    /// @notice Revokes certificates of the caller's organisation, by their serial numbers, at once.
    function revoke(string calldata name, uint256[] calldata serials) external {
        _checkSerials(serials);
        _revoke(_administered(name), serials);
    }

    /// @notice Replaces the intermediates of the caller's organisation at once. Nodes need not show those that are here.
    function setIntermediates(string calldata name, bytes[] calldata certificates) external {
        if (certificates.length > MAX_INTERMEDIATES) revert BadCertificates(certificates.length);
        for (uint256 i = 0; i < certificates.length; ++i) _checkCertificate(certificates[i]);
        Organisation storage o = _administered(name);
        delete o.intermediates;
        for (uint256 i = 0; i < certificates.length; ++i) o.intermediates.push(certificates[i]);
        changedAt = uint64(block.number);
        emit IntermediatesSet(o.name, certificates.length);
    }

    /// @notice Makes another account the admin of the caller's organisation.
    function setAdmin(string calldata name, address admin) external {
        if (admin == address(0)) revert BadAccount();
        Organisation storage o = _administered(name);
        o.admin = admin;
        changedAt = uint64(block.number);
        emit AdminChanged(o.name, admin);
    }

    /// @notice The names of all organisations.
    function names() external view returns (string[] memory all) {
        all = new string[](ids.length);
        for (uint256 i = 0; i < all.length; ++i) all[i] = organisations[ids[i]].name;
    }

    function organisationOf(string calldata name) external view returns (Organisation memory) {
        return _organisation(name);
    }

    /// @notice The proposals on which one may vote now.
    function openProposals() external view returns (uint64[] memory open) {
        IValidators.Member[] memory present = VALIDATORS.validators();
        uint64[] memory found = new uint64[](present.length * MAX_OPEN);
        uint256 n = 0;
        for (uint256 i = 0; i < present.length; ++i) {
            uint64[] storage own = openOf[present[i].id];
            for (uint256 j = 0; j < own.length; ++j) {
                if (block.number <= proposals[own[j]].expires) found[n++] = own[j];
            }
        }
        open = new uint64[](n);
        for (uint256 i = 0; i < n; ++i) open[i] = found[i];
    }

    /// @notice A proposal with its votes that count, and how many are needed.
    function proposalOf(uint64 proposal) external view returns (Proposal memory content, uint256 votes, uint256 needed) {
        Proposal storage p = _open(proposal);
        (votes, needed) = _votes(p);
        return (p, votes, needed);
    }

    function _caller() private view returns (uint64 id) {
        id = VALIDATORS.validatorOf(msg.sender);
        if (id == 0) revert NotAValidator(msg.sender);
    }

    function _organisation(string memory name) private view returns (Organisation storage) {
        uint64 id = idOf[keccak256(bytes(name))];
        if (id == 0) revert NoSuchOrganisation(name);
        return organisations[id];
    }

    function _administered(string calldata name) private view returns (Organisation storage o) {
        o = _organisation(name);
        if (o.admin != msg.sender) revert NotTheAdmin(name, msg.sender);
    }

    function _checkCertificate(bytes calldata certificate) private pure {
        if (certificate.length == 0 || certificate.length > MAX_CERTIFICATE) revert BadCertificate(certificate.length);
    }

    function _checkSerials(uint256[] calldata serials) private pure {
        if (serials.length == 0 || serials.length > MAX_SERIALS) revert BadSerials(serials.length);
        for (uint256 i = 0; i < serials.length; ++i) {
            if (serials[i] == 0 || serials[i] >= 1 << 160) revert BadSerial(serials[i]);
        }
    }

    function _open(uint64 proposal) private view returns (Proposal storage p) {
        p = proposals[proposal];
        if (p.expires == 0) revert NoSuchProposal(proposal);
        if (block.number > p.expires) revert Expired(proposal, p.expires);
    }

    function _propose(Kind kind, string memory name) private returns (uint64 proposal, Proposal storage p) {
        uint64 proposer = _caller();
        _lapse(proposer);
        if (openOf[proposer].length >= MAX_OPEN) revert TooManyOpen(proposer);
        proposal = uint64(++lastProposal);
        openOf[proposer].push(proposal);
        p = proposals[proposal];
        p.kind = kind;
        p.proposer = proposer;
        p.expires = uint64(block.number) + LIFETIME;
        p.name = name;
        emit Proposed(proposal, proposer, kind, name, p.expires);
    }

    function _vote(uint64 proposal, Proposal storage p, uint64 voter) private {
        p.voters.push(voter);
        (uint256 votes, uint256 needed) = _votes(p);
        emit Voted(proposal, voter, votes, needed);
        if (votes >= needed) _apply(proposal, p);
    }

    /// @dev The votes of those who are validators now.
    function _votes(Proposal storage p) private view returns (uint256 votes, uint256 needed) {
        IValidators.Member[] memory present = VALIDATORS.validators();
        uint64[] memory voters = p.voters;
        for (uint256 i = 0; i < voters.length; ++i) {
            for (uint256 j = 0; j < present.length; ++j) {
                if (present[j].id != voters[i]) continue;
                ++votes;
                break;
            }
        }
        needed = VALIDATORS.quorum(present.length);
    }

    function _apply(uint64 proposal, Proposal storage stored) private {
        Proposal memory p = stored;
        _close(proposal, p.proposer);
        changedAt = uint64(block.number);
        if (p.kind == Kind.Remove) {
            _remove(p.name);
            emit Removed(proposal, p.name);
        } else if (p.kind == Kind.Revoke) {
            _revoke(_organisation(p.name), p.serials);
        } else {
            _register(p);
            emit Registered(proposal, p.name, p.admin, p.roots.length);
        }
    }

    function _register(Proposal memory p) private {
        bytes32 key = keccak256(bytes(p.name));
        uint64 id = idOf[key];
        if (id == 0 || !_sharesRoot(organisations[id].roots, p.roots)) {
            if (id != 0) _drop(id);
            if (ids.length >= MAX_ORGANISATIONS) revert TooManyOrganisations();
            id = ++lastId;
            ids.push(id);
            idOf[key] = id;
            organisations[id].id = id;
            organisations[id].name = p.name;
        }
        Organisation storage o = organisations[id];
        o.admin = p.admin;
        delete o.roots;
        for (uint256 i = 0; i < p.roots.length; ++i) o.roots.push(p.roots[i]);
    }

    function _sharesRoot(bytes[] storage a, bytes[] memory b) private view returns (bool) {
        for (uint256 i = 0; i < a.length; ++i) {
            bytes32 one = keccak256(a[i]);
            for (uint256 j = 0; j < b.length; ++j) {
                if (one == keccak256(b[j])) return true;
            }
        }
        return false;
    }

    /// @dev One always stays: without any no node could be admitted, and nobody could vote for another.
    function _remove(string memory name) private {
        uint64 id = _organisation(name).id;
        if (ids.length == 1) revert LastOrganisation();
        _drop(id);
        delete idOf[keccak256(bytes(name))];
    }

    function _drop(uint64 id) private {
        for (uint256 i = 0; i < ids.length; ++i) {
            if (ids[i] != id) continue;
            ids[i] = ids[ids.length - 1];
            ids.pop();
            return;
        }
    }

    function _revoke(Organisation storage o, uint256[] memory serials) private {
        mapping(uint256 => bool) storage known = isRevoked[o.id];
        for (uint256 i = 0; i < serials.length; ++i) {
            if (known[serials[i]]) continue;
            if (o.revoked.length >= MAX_REVOKED) revert TooManyRevoked(o.name);
            known[serials[i]] = true;
            o.revoked.push(serials[i]);
        }
        changedAt = uint64(block.number);
        emit Revoked(o.name, serials, msg.sender);
    }

    /// @dev Forgets a proposal.
    function _close(uint64 proposal, uint64 proposer) private {
        uint64[] storage own = openOf[proposer];
        for (uint256 i = 0; i < own.length; ++i) {
            if (own[i] != proposal) continue;
            own[i] = own[own.length - 1];
            own.pop();
            break;
        }
        delete proposals[proposal];
    }

    /// @dev Forgets the proposer's proposals that have expired.
    function _lapse(uint64 proposer) private {
        uint64[] storage own = openOf[proposer];
        for (uint256 i = own.length; i > 0; --i) {
            uint64 proposal = own[i - 1];
            if (block.number <= proposals[proposal].expires) continue;
            _close(proposal, proposer);
            emit Lapsed(proposal);
        }
    }
}
