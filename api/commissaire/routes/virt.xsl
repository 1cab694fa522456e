<?xml version="1.0" encoding="UTF-8"?>
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"
    xmlns:commissaire="https://commissaire.example.org/xmlns/domain/1" exclude-result-prefixes="commissaire">
  <xsl:output method="html" encoding="UTF-8" indent="yes"/>

  <xsl:template match="/">
    <html lang="en">
      <head>
        <meta name="viewport" content="width=device-width"/>
        <title><xsl:apply-templates select="*" mode="title"/></title>
        <style>
          :root { color-scheme: light dark }
          body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem }
          table { border-collapse: collapse; width: 100% }
          th, td { border-bottom: 1px solid #8886; padding: .3rem .8rem .3rem 0; text-align: left; vertical-align: top }
          td.number { font-variant-numeric: tabular-nums; text-align: right }
          .silent { border-left: .3rem solid #c60; padding-left: .8rem }
          form { display: inline }
        </style>
      </head>
      <body>
        <h1><xsl:apply-templates select="*" mode="title"/></h1>
        <xsl:apply-templates select="*"/>
        <p><a href="/virt">All virtual machines</a></p>
      </body>
    </html>
  </xsl:template>

  <xsl:template match="*" mode="title"><xsl:value-of select="name()"/></xsl:template>
  <xsl:template match="domains" mode="title">Virtual machines</xsl:template>
  <xsl:template match="domain" mode="title"><xsl:value-of select="name"/></xsl:template>

  <!-- /virt and /virt/CLIENT -->
  <xsl:template match="/domains">
    <xsl:apply-templates select="silent"/>
    <table>
      <thead>
        <tr><th>Name</th><th>Owner</th><th>State</th><th>Id</th><th>Memory</th><th>CPUs</th><th>Hypervisor</th><th/></tr>
      </thead>
      <tbody><xsl:apply-templates select="domain"/></tbody>
    </table>
    <p><xsl:value-of select="count(domain)"/> in all</p>
  </xsl:template>

  <xsl:template match="/domains/silent">
    <p class="silent"><strong><xsl:value-of select="hypervisor"/></strong>: <xsl:value-of select="reason"/></p>
  </xsl:template>

  <xsl:template match="/domains/domain">
    <xsl:variable name="which" select="concat('?hypervisor=', hypervisor)"/>
    <tr>
      <td><a href="{href}{$which}"><xsl:value-of select="name"/></a></td>
      <td><xsl:value-of select="owner"/></td>
      <td><xsl:value-of select="state"/></td>
      <td class="number"><xsl:if test="id &gt;= 0"><xsl:value-of select="id"/></xsl:if></td>
      <td class="number"><xsl:value-of select="format-number(memory div 1024, '#,##0')"/> MiB</td>
      <td class="number"><xsl:value-of select="vcpu"/></td>
      <td><xsl:value-of select="hypervisor"/></td>
      <td>
        <xsl:if test="id &gt;= 0">
          <form method="post" action="{href}/virDomainReboot{$which}"><button>Reboot</button></form>
          <form method="post" action="{href}/virDomainShutdown{$which}"><button>Shut down</button></form>
        </xsl:if>
      </td>
    </tr>
  </xsl:template>

  <!-- /virt/CLIENT/VM: libvirt's own document -->
  <xsl:template match="/domain">
    <table>
      <tr><th>UUID</th><td><xsl:value-of select="uuid"/></td></tr>
      <tr><th>Owner</th><td><xsl:value-of select="metadata/commissaire:owner"/></td></tr>
      <tr><th>Kind</th><td><xsl:value-of select="concat(@type, ' ', os/type, ' ', os/type/@arch)"/></td></tr>
      <tr><th>Memory</th><td><xsl:value-of select="concat(memory, ' ', memory/@unit)"/></td></tr>
      <tr><th>CPUs</th><td><xsl:value-of select="vcpu"/></td></tr>
      <xsl:for-each select="devices/disk">
        <tr>
          <th>Disk <xsl:value-of select="target/@dev"/></th>
          <td><xsl:value-of select="concat(source/@pool, ' ', source/@volume, source/@file, source/@dev)"/></td>
        </tr>
      </xsl:for-each>
      <xsl:for-each select="devices/interface">
        <tr>
          <th>Interface <xsl:value-of select="target/@dev"/></th>
          <td><xsl:value-of select="concat(mac/@address, ' ', source/@network, source/@bridge)"/></td>
        </tr>
      </xsl:for-each>
    </table>
  </xsl:template>

  <!-- /virt/CLIENT/VM/COMMAND -->
  <xsl:template match="/*" priority="-1">
    <table><xsl:apply-templates select="*" mode="row"/></table>
  </xsl:template>

  <xsl:template match="*" mode="row">
    <tr>
      <th><xsl:value-of select="name()"/></th>
      <td>
        <xsl:choose>
          <xsl:when test="*"><table><xsl:apply-templates select="*" mode="row"/></table></xsl:when>
          <xsl:otherwise><xsl:value-of select="."/></xsl:otherwise>
        </xsl:choose>
      </td>
    </tr>
  </xsl:template>
</xsl:stylesheet>
