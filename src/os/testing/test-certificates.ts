/** Certificates for tests of other rooms that speak TLS. */
export { createCertificateAuthority, issueServerCertificate } from "../certificates.ts";
