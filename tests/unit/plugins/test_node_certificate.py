"""Which certificates a host may get: that of its own node, and no other."""

import base64

import pytest
from ansible_collections.commissaire.fleet.plugins.plugin_utils.node_certificate import (
    SIGNER,
    CertificateError,
    approved,
    check_request,
    common_name,
    denial,
    is_approved,
    request_body,
    request_name,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

NODE = [(NameOID.ORGANIZATION_NAME, "system:nodes"), (NameOID.COMMON_NAME, "system:node:h1")]


def request(names=NODE, key=None, extension=None, algorithm=None):
    """A certificate signing request for these names, as PEM."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in names])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if extension:
        builder = builder.add_extension(extension, critical=False)
    signed = builder.sign(key, algorithm or hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode()


def test_a_host_may_ask_for_the_certificate_of_its_node():
    check_request(request(), "h1")
    check_request(request(list(reversed(NODE))), "h1")


def test_what_is_sent_beside_the_request_goes_no_further():
    """Readers of PEM do not agree on which of several requests counts."""
    own, other = request(), request([NODE[0], (NameOID.COMMON_NAME, "system:node:master")])
    assert check_request(f"x{own}{other}", "h1") == own
    assert check_request(own, "h1") == own


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ([NODE[0], (NameOID.COMMON_NAME, "system:node:h2")], "CN=system:node:h2"),
        ([(NameOID.ORGANIZATION_NAME, "system:masters"), NODE[1]], "O=system:masters"),
        ([*NODE, (NameOID.ORGANIZATION_NAME, "system:masters")], "O=system:masters"),
        ([NODE[0]], "O=system:nodes"),
        ([NODE[1]], "CN=system:node:h1"),
        ([*NODE, NODE[0]], "O=system:nodes"),
        ([], ""),
    ],
)
def test_what_else_it_asks_for_is_refused_by_name(names, told):
    with pytest.raises(
        CertificateError, match=r"the host asks for the certificate of .*, not for that of node h1"
    ) as e:
        check_request(request(names), "h1")
    assert told in str(e.value)


def test_names_beside_the_subject_are_refused():
    names = x509.SubjectAlternativeName([x509.DNSName("kubernetes.default")])
    with pytest.raises(CertificateError, match="extensions"):
        check_request(request(extension=names), "h1")


def test_a_request_that_another_key_signed_is_refused():
    mine, theirs = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    der = x509.load_pem_x509_csr(request(key=theirs).encode())
    forged = der.public_bytes(serialization.Encoding.DER).replace(
        theirs.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint),
        mine.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint),
    )
    pem = x509.load_der_x509_csr(forged).public_bytes(serialization.Encoding.PEM).decode()
    with pytest.raises(CertificateError, match="not signed by the key"):
        check_request(pem, "h1")


def test_another_kind_of_key_is_refused():
    with pytest.raises(CertificateError, match="not signed by the key"):
        check_request(request(key=rsa.generate_private_key(65537, 2048)), "h1")


@pytest.mark.parametrize(
    "pem", ["", "nonsense", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----"]
)
def test_what_is_no_request_is_refused(pem):
    with pytest.raises(CertificateError, match="no certificate signing request that can be read"):
        check_request(pem, "h1")


@pytest.mark.parametrize("name", ["", "H1", "a b", "-a", "a/b", "h1\n", "$(id)", "a" * 254])
def test_what_no_node_can_be_called_gets_no_certificate(name):
    with pytest.raises(CertificateError, match="no node can be called"):
        common_name(name)


def test_the_same_request_has_the_same_name_and_another_one_another():
    one, other = request(), request()
    assert request_name(one, "h1") == request_name(one, "h1") != request_name(other, "h1")
    assert len(request_name(one, "a" * 253)) <= 253


def test_only_what_we_asked_for_is_approved():
    pem = request()
    body = request_body(pem, "h1", 3600)
    assert (body["spec"]["signerName"], body["spec"]["expirationSeconds"]) == (SIGNER, 3600)
    assert "expirationSeconds" not in request_body(pem, "h1", None)["spec"]
    after = approved(body, pem, "2026-11-28T00:00:00Z")
    assert is_approved(after)
    assert not is_approved(body)
    theirs = {**body, "spec": {**body["spec"], "request": base64.b64encode(request().encode()).decode()}}
    for changed in (theirs, {**body, "spec": {**body["spec"], "signerName": "kubernetes.io/kube-apiserver-client"}}):
        with pytest.raises(CertificateError, match="is somebody else's"):
            approved(changed, pem, "2026-11-28T00:00:00Z")


def test_a_denial_is_told():
    assert not denial({})
    assert not denial({"status": {"conditions": [{"type": "Approved"}]}})
    assert denial({"status": {"conditions": [{"type": "Denied", "message": "no"}]}}) == "denied: no"
    assert denial({"status": {"conditions": [{"type": "Failed", "reason": "SignerValidationFailure"}]}}) == (
        "failed: SignerValidationFailure"
    )
