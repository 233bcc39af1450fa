<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="es" sourcelanguage="en">
  <context>
    <name>Picker</name>
    <message>
      <source>USB devices</source>
      <translation>Dispositivos USB</translation>
    </message>
    <message>
      <source>When you chose it</source>
      <translation>Cuando lo elegiste</translation>
    </message>
    <message>
      <source>Now</source>
      <translation>Ahora</translation>
    </message>
    <message>
      <source>New</source>
      <translation>Nuevo</translation>
    </message>
    <message>
      <source>not mounted</source>
      <translation>sin montar</translation>
    </message>
    <message>
      <source>At once</source>
      <translation>Al conectar</translation>
    </message>
    <message>
      <source>Ask me</source>
      <translation>Preguntar</translation>
    </message>
    <message>
      <source>By hand</source>
      <translation>A mano</translation>
    </message>
    <message>
      <source>You cannot type on this computer with it while it is shared.</source>
      <translation>Mientras se comparte no podrás escribir con él en este equipo.</translation>
    </message>
    <message>
      <source>You cannot point on this computer with it while it is shared.</source>
      <translation>Mientras se comparte no podrás señalar con él en este equipo.</translation>
    </message>
    <message>
      <source>This computer may lose its network.</source>
      <translation>Este equipo puede quedarse sin red.</translation>
    </message>
    <message>
      <source>What is connected by Bluetooth stops working on this computer.</source>
      <translation>Lo que está conectado por Bluetooth deja de funcionar en este equipo.</translation>
    </message>
    <message>
      <source>It is your only keyboard. Plug in another one first.</source>
      <translation>Es tu único teclado. Enchufa otro antes.</translation>
    </message>
    <message>
      <source>It is your only mouse. Plug in another one first.</source>
      <translation>Es tu único ratón. Enchufa otro antes.</translation>
    </message>
    <message>
      <source>The remote desktop will be able to read, change and delete everything on it.</source>
      <translation>El escritorio remoto podrá leer, cambiar y borrar todo lo que contiene.</translation>
    </message>
    <message>
      <source>This device has changed</source>
      <translation>Este dispositivo ha cambiado</translation>
    </message>
    <message>
      <source>If you did not change anything on this device, keep it here.</source>
      <translation>Si no has cambiado nada en él, déjalo aquí.</translation>
    </message>
    <message>
      <source>This device now also presents a {what}</source>
      <translation>Este dispositivo ahora también se presenta como {what}</translation>
    </message>
    <message>
      <source>A keyboard can type commands on the remote desktop. If you did not change anything on this device, keep it here.</source>
      <translation>Un teclado puede escribir órdenes en el escritorio remoto. Si no has cambiado nada en él, déjalo aquí.</translation>
    </message>
    <message>
      <source>Share this {what}?</source>
      <translation>¿Compartir este dispositivo ({what})?</translation>
    </message>
    <message>
      <source>Share this memory stick?</source>
      <translation>¿Compartir esta memoria?</translation>
    </message>
    <message>
      <source>Cancel</source>
      <translation>Cancelar</translation>
    </message>
    <message>
      <source>Unlock and share</source>
      <translation>Permitir y compartir</translation>
    </message>
    <message>
      <source>Share anyway</source>
      <translation>Compartir de todos modos</translation>
    </message>
    <message>
      <source>Keep it here</source>
      <translation>Dejarlo aquí</translation>
    </message>
    <message>
      <source>Share {device} now?</source>
      <translation>¿Compartir {device} ahora?</translation>
    </message>
    <message>
      <source>You wished to be asked each time it is plugged in or the session returns.</source>
      <translation>Pediste que se te pregunte cada vez que se enchufa o vuelve la sesión.</translation>
    </message>
    <message>
      <source>Share</source>
      <translation>Compartir</translation>
    </message>
    <message>
      <source>Not now</source>
      <translation>Ahora no</translation>
    </message>
    <message>
      <source>It is unmounted here first, so that no half-written file is left.</source>
      <translation>Antes se desmonta aquí, para que ningún archivo quede a medias.</translation>
    </message>
    <message>
      <source>Unmount and share</source>
      <translation>Desmontar y compartir</translation>
    </message>
    <message>
      <source>While shared, a device stops working on this computer.</source>
      <translation>Mientras se comparte, deja de funcionar en este equipo.</translation>
    </message>
    <message>
      <source>Copied</source>
      <translation>Copiado</translation>
    </message>
    <message>
      <source>Copy report</source>
      <translation>Copiar informe</translation>
    </message>
    <message>
      <source>Copy rule</source>
      <translation>Copiar regla</translation>
    </message>
    <message>
      <source>What it is</source>
      <translation>Qué es</translation>
    </message>
    <message>
      <source>Identity</source>
      <translation>Identidad</translation>
    </message>
    <message>
      <source>Volumes</source>
      <translation>Volúmenes</translation>
    </message>
    <message>
      <source>Caution</source>
      <translation>Precaución</translation>
    </message>
    <message>
      <source>Decided by</source>
      <translation>Decidido por</translation>
    </message>
    <message>
      <source>What helps</source>
      <translation>Qué ayuda</translation>
    </message>
    <message>
      <source>Port</source>
      <translation>Puerto</translation>
    </message>
    <message>
      <source>Local driver</source>
      <translation>Controlador</translation>
    </message>
    <message>
      <source>Why</source>
      <translation>Por qué</translation>
    </message>
    <message>
      <source>Share {device}</source>
      <translation>Compartir {device}</translation>
    </message>
    <message>
      <source>Details of {device}</source>
      <translation>Detalles de {device}</translation>
    </message>
    <message>
      <source>Forget {device}</source>
      <translation>Olvidar {device}</translation>
    </message>
    <message>
      <source>Unlock {device}</source>
      <translation>Permitir {device}</translation>
    </message>
    <message>
      <source>Forget</source>
      <translation>Olvidar</translation>
    </message>
    <message>
      <source>Unlock…</source>
      <translation>Permitir…</translation>
    </message>
    <message>
      <source>Share it</source>
      <translation>Se comparte</translation>
    </message>
    <message>
      <source>For {n} s after it goes, what comes to its port counts as it.</source>
      <translation>Durante {n} s tras desaparecer, lo que llegue a su puerto cuenta como él.</translation>
    </message>
    <message>
      <source>Name of {device} here</source>
      <translation>Nombre de {device} aquí</translation>
    </message>
    <message>
      <source>Follow the port of {device}</source>
      <translation>Seguir el puerto de {device}</translation>
    </message>
    <message>
      <source>Name here</source>
      <translation>Nombre aquí</translation>
    </message>
    <message>
      <source>Follow its port</source>
      <translation>Seguir su puerto</translation>
    </message>
    <message>
      <source>Plug in a USB device and it appears here. You then choose whether the remote desktop gets it.</source>
      <translation>Enchufa un dispositivo USB y aparecerá aquí. Tú decides si lo usa el escritorio remoto.</translation>
    </message>
    <message>
      <source>Look again</source>
      <translation>Buscar de nuevo</translation>
    </message>
    <message>
      <source>Clear</source>
      <translation>Borrar</translation>
    </message>
    <message>
      <source>Clear the filter</source>
      <translation>Borrar el filtro</translation>
    </message>
    <message>
      <source>No device matches "{text}".</source>
      <translation>Ningún dispositivo coincide con «{text}».</translation>
    </message>
    <message>
      <source>Nothing plugged in yet</source>
      <translation>Aún no hay nada enchufado</translation>
    </message>
    <message>
      <source>Retry now</source>
      <translation>Reintentar ya</translation>
    </message>
    <message>
      <source>Stop</source>
      <translation>Parar</translation>
    </message>
    <message>
      <source>Retry {device} now</source>
      <translation>Reintentar {device} ya</translation>
    </message>
    <message>
      <source>Stop sharing {device}</source>
      <translation>Dejar de compartir {device}</translation>
    </message>
    <message>
      <source>Menu</source>
      <translation>Menú</translation>
    </message>
    <message>
      <source>Look again (F5)</source>
      <translation>Buscar de nuevo (F5)</translation>
    </message>
    <message>
      <source>Return all devices</source>
      <translation>Devolver todos</translation>
    </message>
    <message>
      <source>About</source>
      <translation>Acerca de</translation>
    </message>
    <message>
      <source>Start when I log in to this computer</source>
      <translation>Iniciar al entrar en este equipo</translation>
    </message>
    <message>
      <source>Quit and return all devices</source>
      <translation>Salir y devolver todos</translation>
    </message>
    <message>
      <source>Not shared</source>
      <translation>No compartido</translation>
    </message>
    <message>
      <source>Waiting for session</source>
      <translation>Esperando la sesión</translation>
    </message>
    <message>
      <source>Releasing…</source>
      <translation>Soltando…</translation>
    </message>
    <message>
      <source>Connecting…</source>
      <translation>Conectando…</translation>
    </message>
    <message>
      <source>Attached</source>
      <translation>Conectado</translation>
    </message>
    <message>
      <source>In use remotely</source>
      <translation>En uso remoto</translation>
    </message>
    <message>
      <source>Returning…</source>
      <translation>Devolviendo…</translation>
    </message>
    <message>
      <source>Not connected</source>
      <translation>Desenchufado</translation>
    </message>
    <message>
      <source>Locked</source>
      <translation>Protegido</translation>
    </message>
    <message>
      <source>Blocked</source>
      <translation>Bloqueado</translation>
    </message>
    <message>
      <source>Needs your OK</source>
      <translation>Falta confirmar</translation>
    </message>
    <message>
      <source>Failed</source>
      <translation>Error</translation>
    </message>
    <message>
      <source>camera</source>
      <translation>cámara</translation>
    </message>
    <message>
      <source>microphone</source>
      <translation>micrófono</translation>
    </message>
    <message>
      <source>memory stick</source>
      <translation>memoria</translation>
    </message>
    <message>
      <source>security key</source>
      <translation>llave de seguridad</translation>
    </message>
    <message>
      <source>serial adapter</source>
      <translation>adaptador serie</translation>
    </message>
    <message>
      <source>headset</source>
      <translation>auriculares</translation>
    </message>
    <message>
      <source>keyboard</source>
      <translation>teclado</translation>
    </message>
    <message>
      <source>mouse</source>
      <translation>ratón</translation>
    </message>
    <message>
      <source>printer</source>
      <translation>impresora</translation>
    </message>
    <message>
      <source>scanner</source>
      <translation>escáner</translation>
    </message>
    <message>
      <source>phone</source>
      <translation>teléfono</translation>
    </message>
    <message>
      <source>network adapter</source>
      <translation>adaptador de red</translation>
    </message>
    <message>
      <source>Bluetooth adapter</source>
      <translation>adaptador Bluetooth</translation>
    </message>
    <message>
      <source>device</source>
      <translation>dispositivo</translation>
    </message>
    <message>
      <source>stick</source>
      <translation>memoria</translation>
    </message>
    <message>
      <source>Released</source>
      <translation>Soltado</translation>
    </message>
    <message>
      <source>Exported</source>
      <translation>Exportado</translation>
    </message>
    <message>
      <source>Ready</source>
      <translation>Listo</translation>
    </message>
    <message>
      <source>{vendor} · {what}</source>
      <translation>{vendor} · {what}</translation>
    </message>
    <message>
      <source>{vendor} · {what}, remembered</source>
      <translation>{vendor} · {what}, recordado</translation>
    </message>
    <message>
      <source>Blocked by rule {n}, "{name}" ({place}).</source>
      <translation>Bloqueado por la regla {n}, «{name}» ({place}).</translation>
    </message>
    <message>
      <source>Blocked by rule {n}, "{name}".</source>
      <translation>Bloqueado por la regla {n}, «{name}».</translation>
    </message>
    <message>
      <source>Allowed by rule {n} of {m}, "{name}".</source>
      <translation>Lo permite la regla {n} de {m}, «{name}».</translation>
    </message>
    <message>
      <source>Allowed by rule {n} of {m}, "{name}", set by your administrator.</source>
      <translation>Lo permite la regla {n} de {m}, «{name}», de tu administrador.</translation>
    </message>
    <message>
      <source>Rule {n} of {m}, "{name}".</source>
      <translation>Regla {n} de {m}, «{name}».</translation>
    </message>
    <message>
      <source>Your choice.</source>
      <translation>Tu elección.</translation>
    </message>
    <message>
      <source>{n} ms</source>
      <translation>{n} ms</translation>
    </message>
    <message>
      <source>{n} Mbit/s</source>
      <translation>{n} Mbit/s</translation>
    </message>
    <message>
      <source>Retry in {n} s.</source>
      <translation>Reintento en {n} s.</translation>
    </message>
    <message>
      <source>Stopped after {n} tries.</source>
      <translation>Parado tras {n} intentos.</translation>
    </message>
    <message>
      <source>No serial number: recognised by port {busid}</source>
      <translation>Sin número de serie: se reconoce por el puerto {busid}</translation>
    </message>
    <message>
      <source>Port {busid} · no serial number</source>
      <translation>Puerto {busid} · sin número de serie</translation>
    </message>
    <message>
      <source>Good for video and sound</source>
      <translation>Buena para vídeo y sonido</translation>
    </message>
    <message>
      <source>Fine for keys, disks and printers</source>
      <translation>Suficiente para llaves, discos e impresoras</translation>
    </message>
    <message>
      <source>Too slow for video and sound</source>
      <translation>Demasiado lenta para vídeo y sonido</translation>
    </message>
    <message>
      <source>Unknown vendor</source>
      <translation>Fabricante desconocido</translation>
    </message>
    <message>
      <source>{n} volumes</source>
      <translation>{n} volúmenes</translation>
    </message>
    <message>
      <source>usbip-host; usually {drivers}</source>
      <translation>usbip-host; normalmente {drivers}</translation>
    </message>
    <message>
      <source>Session lost. Trying again in {n} s.</source>
      <translation>Sesión perdida. Nuevo intento en {n} s.</translation>
    </message>
    <message>
      <source>No session. Ticked devices wait for it.</source>
      <translation>Sin sesión. Los dispositivos marcados la esperan.</translation>
    </message>
    <message>
      <source>Connected · not encrypted</source>
      <translation>Conectado · sin cifrar</translation>
    </message>
    <message>
      <source>Connected · encrypted by a relay</source>
      <translation>Conectado · cifrado por un intermediario</translation>
    </message>
    <message>
      <source>Connected · encrypted by the kernel</source>
      <translation>Conectado · cifrado por el núcleo</translation>
    </message>
    <message>
      <source>Connected · encrypted</source>
      <translation>Conectado · cifrado</translation>
    </message>
    <message>
      <source>Ready in {n} ms</source>
      <translation>Listo en {n} ms</translation>
    </message>
    <message>
      <source>QVD USB sharing {version}: your devices in the remote desktop.</source>
      <translation>QVD USB {version}: tus dispositivos en el escritorio remoto.</translation>
    </message>
    <message>
      <source>Got it</source>
      <translation>Entendido</translation>
    </message>
    <message>
      <source>{session}: USB devices</source>
      <translation>{session}: dispositivos USB</translation>
    </message>
    <message>
      <source>Sharing goes on in the background.</source>
      <translation>Se sigue compartiendo en segundo plano.</translation>
    </message>
    <message>
      <source>Until this is put right, devices are listed but cannot be shared.</source>
      <translation>Mientras no se arregle, los dispositivos se ven pero no se pueden compartir.</translation>
    </message>
    <message>
      <source>Until they are there, devices are listed but cannot be shared. Run each command in a terminal, then check again.</source>
      <translation>Mientras falten, los dispositivos se ven pero no se pueden compartir. Ejecuta cada orden en un terminal y comprueba de nuevo.</translation>
    </message>
    <message>
      <source>Copy</source>
      <translation>Copiar</translation>
    </message>
    <message>
      <source>Copy {command}</source>
      <translation>Copiar {command}</translation>
    </message>
    <message>
      <source>{n} things are missing on this computer</source>
      <translation>Faltan {n} cosas en este equipo</translation>
    </message>
    <message>
      <source>Check again</source>
      <translation>Comprobar de nuevo</translation>
    </message>
    <message>
      <source>One thing is missing on this computer</source>
      <translation>Falta una cosa en este equipo</translation>
    </message>
    <message>
      <source>Two things are missing on this computer</source>
      <translation>Faltan dos cosas en este equipo</translation>
    </message>
    <message>
      <source>It is the small program that may release a device from this computer.</source>
      <translation>Es el pequeño programa que puede soltar un dispositivo de este equipo.</translation>
    </message>
    <message>
      <source>It sends the device over the network. It belongs to your Linux kernel.</source>
      <translation>Envía el dispositivo por la red. Pertenece al núcleo Linux.</translation>
    </message>
    <message>
      <source>The sharing helper is not installed</source>
      <translation>El asistente de uso compartido no está instalado</translation>
    </message>
    <message>
      <source>The sharing helper has the wrong owner or mode</source>
      <translation>El asistente de uso compartido tiene otro dueño o modo</translation>
    </message>
    <message>
      <source>You may not share devices from this session</source>
      <translation>No puedes compartir dispositivos desde esta sesión</translation>
    </message>
    <message>
      <source>Sharing is switched off</source>
      <translation>Compartir está desactivado</translation>
    </message>
    <message>
      <source>The kernel module usbip_host is not loaded</source>
      <translation>El módulo usbip_host del núcleo no está cargado</translation>
    </message>
    <message>
      <source>The kernel module usbip_host is not in this kernel</source>
      <translation>El módulo usbip_host no está en este núcleo</translation>
    </message>
    <message>
      <source>Something has to be put right on this computer</source>
      <translation>Hay que arreglar algo en este equipo</translation>
    </message>
    <message>
      <source>Filter devices</source>
      <translation>Filtrar dispositivos</translation>
    </message>
    <message>
      <source>Not measured yet</source>
      <translation>Aún sin medir</translation>
    </message>
    <message>
      <source>{session} · Connected</source>
      <translation>{session} · Conectado</translation>
    </message>
    <message>
      <source>Choose devices…</source>
      <translation>Elegir dispositivos…</translation>
    </message>
    <message>
      <source>{device} is now in the remote desktop.</source>
      <translation>{device} ya está en el escritorio remoto.</translation>
    </message>
    <message>
      <source>{device} is back on this computer.</source>
      <translation>{device} ha vuelto a este equipo.</translation>
    </message>
    <message>
      <source>Retry {device} (failed)</source>
      <translation>Reintentar {device} (error)</translation>
    </message>
  </context>
  <context>
    <name>Problem</name>
    <message>
      <source>{path} cannot be read: {reason}.</source>
      <translation>{path} no se puede leer: {reason}.</translation>
    </message>
    <message>
      <source>Make it a plain file that this account may read, or remove it.</source>
      <translation>Haz que sea un archivo normal que esta cuenta pueda leer, o quítalo.</translation>
    </message>
    <message>
      <source>{path} is not UTF-8 text (byte {offset}).</source>
      <translation>{path} no es texto UTF-8 (byte {offset}).</translation>
    </message>
    <message>
      <source>Save it as UTF-8, or move it away: the defaults then apply.</source>
      <translation>Guárdalo en UTF-8, o apártalo: entonces valen los valores por omisión.</translation>
    </message>
    <message>
      <source>{path} is larger than {limit} bytes, so it was not read.</source>
      <translation>{path} ocupa más de {limit} bytes, así que no se ha leído.</translation>
    </message>
    <message>
      <source>Check what filled it; move it away and the defaults apply.</source>
      <translation>Mira qué lo ha llenado; si lo apartas, valen los valores por omisión.</translation>
    </message>
    <message>
      <source>{path} is a folder, not a file.</source>
      <translation>{path} es una carpeta, no un archivo.</translation>
    </message>
    <message>
      <source>Move the folder away.</source>
      <translation>Aparta la carpeta.</translation>
    </message>
    <message>
      <source>{path} could not be saved: {reason}. The file is as it was before.</source>
      <translation>{path} no se ha podido guardar: {reason}. El archivo está como antes.</translation>
    </message>
    <message>
      <source>Check free space and the rights on the folder, then try again.</source>
      <translation>Comprueba el espacio libre y los permisos de la carpeta y vuelve a intentarlo.</translation>
    </message>
    <message>
      <source>The settings cannot be used: {reason}.</source>
      <translation>La configuración no se puede usar: {reason}.</translation>
    </message>
    <message>
      <source>Correct the line in the configuration file.</source>
      <translation>Corrige la línea en el archivo de configuración.</translation>
    </message>
    <message>
      <source>The share list has an entry that cannot be read: '{value}'.</source>
      <translation>La lista de dispositivos compartidos tiene una entrada que no se entiende: '{value}'.</translation>
    </message>
    <message>
      <source>Write entries as vid:pid or vid:pid@serial, separated by commas, in client.usb.share_list.</source>
      <translation>Escribe las entradas como vid:pid o vid:pid@serie, separadas por comas, en client.usb.share_list.</translation>
    </message>
    <message>
      <source>The session description cannot be used: {reason}.</source>
      <translation>La descripción de la sesión no se puede usar: {reason}.</translation>
    </message>
    <message>
      <source>Give one JSON object: {{"v":1,"name":"…","address":"host:port","key":"…","encryption":"none"}}</source>
      <translation>Da un objeto JSON: {{"v":1,"name":"…","address":"host:port","key":"…","encryption":"none"}}</translation>
    </message>
    <message>
      <source>The helper {path} is not installed.</source>
      <translation>El asistente {path} no está instalado.</translation>
    </message>
    <message>
      <source>Install the qvd-usbip client package; from its sources, as root: make install ROLE=client.</source>
      <translation>Instala el paquete cliente de qvd-usbip; desde sus fuentes, como root: make install ROLE=client.</translation>
    </message>
    <message>
      <source>The helper {path} does not run as root, so it cannot lend a device.</source>
      <translation>El asistente {path} no se ejecuta como root, así que no puede prestar dispositivos.</translation>
    </message>
    <message>
      <source>As root: chown root:root {path} &amp;&amp; chmod 4755 {path}; the file system must not be mounted nosuid.</source>
      <translation>Como root: chown root:root {path} &amp;&amp; chmod 4755 {path}; el sistema de archivos no debe estar montado con nosuid.</translation>
    </message>
    <message>
      <source>This account may not lend USB devices.</source>
      <translation>Esta cuenta no puede prestar dispositivos USB.</translation>
    </message>
    <message>
      <source>Ask an administrator to add it to the group '{group}', then log in again.</source>
      <translation>Pide a un administrador que la añada al grupo '{group}' y vuelve a entrar.</translation>
    </message>
    <message>
      <source>{path} is not trusted: {reason}.</source>
      <translation>{path} no es de fiar: {reason}.</translation>
    </message>
    <message>
      <source>It must belong to root and be writable by root only.</source>
      <translation>Debe ser de root y que solo root pueda escribir en él.</translation>
    </message>
    <message>
      <source>The kernel part that lends USB devices (usbip-host) is not available: {reason}.</source>
      <translation>La parte del núcleo que presta dispositivos USB (usbip-host) no está disponible: {reason}.</translation>
    </message>
    <message>
      <source>As root: modprobe usbip-host. If that fails, install the kernel's extra modules.</source>
      <translation>Como root: modprobe usbip-host. Si falla, instala los módulos adicionales del núcleo.</translation>
    </message>
    <message>
      <source>{busid} is a USB hub; hubs are not shared.</source>
      <translation>{busid} es un concentrador USB; los concentradores no se comparten.</translation>
    </message>
    <message>
      <source>Share the devices plugged into it.</source>
      <translation>Comparte los dispositivos enchufados en él.</translation>
    </message>
    <message>
      <source>{busid} is itself a device from another computer and cannot be shared on.</source>
      <translation>{busid} viene a su vez de otro equipo y no se puede volver a compartir.</translation>
    </message>
    <message>
      <source>Share it from the computer it is plugged into.</source>
      <translation>Compártelo desde el equipo en el que está enchufado.</translation>
    </message>
    <message>
      <source>{busid} holds a disk that is in use here ({use}).</source>
      <translation>{busid} tiene un disco que se está usando aquí ({use}).</translation>
    </message>
    <message>
      <source>Eject it (unmount, swapoff) and share it again.</source>
      <translation>Expúlsalo (desmontar, swapoff) y vuelve a compartirlo.</translation>
    </message>
    <message>
      <source>{busid} is a network adapter that is up here ({use}).</source>
      <translation>{busid} es un adaptador de red activo aquí ({use}).</translation>
    </message>
    <message>
      <source>Disconnect that network first.</source>
      <translation>Desconecta antes esa red.</translation>
    </message>
    <message>
      <source>{busid} is locked: {rule}.</source>
      <translation>{busid} está protegido: {rule}.</translation>
    </message>
    <message>
      <source>Unlock it in the picker, or with qvd-usb share --agree, if the administrator's policy allows that.</source>
      <translation>Permítelo en esta ventana, o con qvd-usb share --agree, si la política del administrador lo consiente.</translation>
    </message>
    <message>
      <source>{busid} is no longer the device that was chosen.</source>
      <translation>{busid} ya no es el dispositivo que se eligió.</translation>
    </message>
    <message>
      <source>Look at the list again and choose it anew.</source>
      <translation>Mira la lista otra vez y elígelo de nuevo.</translation>
    </message>
    <message>
      <source>{busid} was unplugged.</source>
      <translation>{busid} se ha desenchufado.</translation>
    </message>
    <message>
      <source>Plug it in again.</source>
      <translation>Vuelve a enchufarlo.</translation>
    </message>
    <message>
      <source>Device {busid} is not bound to usbip-host driver, but to {driver}: it cannot be connected.</source>
      <translation>El dispositivo {busid} no está en el controlador usbip-host, sino en {driver}: no se puede conectar.</translation>
    </message>
    <message>
      <source>Bind it first.</source>
      <translation>Enlázalo primero.</translation>
    </message>
    <message>
      <source>{busid} is already in use by another session.</source>
      <translation>{busid} ya se usa en otra sesión.</translation>
    </message>
    <message>
      <source>Stop sharing it there first.</source>
      <translation>Deja antes de compartirlo allí.</translation>
    </message>
    <message>
      <source>{busid} could not be taken from its driver: {reason}.</source>
      <translation>{busid} no se ha podido quitar de su controlador: {reason}.</translation>
    </message>
    <message>
      <source>Close the programs that use it and try again; the kernel log tells more.</source>
      <translation>Cierra los programas que lo usan y vuelve a intentarlo; el registro del núcleo dice más.</translation>
    </message>
    <message>
      <source>Unable to find an unused USB-IP port: the kernel's 16 places for lent devices are taken.</source>
      <translation>No hay puertos USB-IP libres: las 16 plazas del núcleo para dispositivos prestados están ocupadas.</translation>
    </message>
    <message>
      <source>Stop sharing another device first. A device pulled out while lent keeps its place until its port is lent again.</source>
      <translation>Deja antes de compartir otro dispositivo. Uno que se desenchufó mientras estaba prestado guarda su plaza hasta que su puerto se presta de nuevo.</translation>
    </message>
    <message>
      <source>{busid} could not be handed to the session: {reason}.</source>
      <translation>{busid} no se ha podido entregar a la sesión: {reason}.</translation>
    </message>
    <message>
      <source>Try again; if it stays, unplug the device and plug it in.</source>
      <translation>Vuelve a intentarlo; si sigue igual, desenchufa el dispositivo y enchúfalo de nuevo.</translation>
    </message>
    <message>
      <source>{busid} was lent by another account (uid {uid}).</source>
      <translation>{busid} lo prestó otra cuenta (uid {uid}).</translation>
    </message>
    <message>
      <source>Only that account or root may take it back.</source>
      <translation>Solo esa cuenta o root pueden recuperarlo.</translation>
    </message>
    <message>
      <source>USB sharing is switched off on this computer.</source>
      <translation>Compartir USB está desactivado en este equipo.</translation>
    </message>
    <message>
      <source>Set {setting} in ~/.qvd/client.conf or /etc/qvd/client.conf.</source>
      <translation>Pon {setting} en ~/.qvd/client.conf o /etc/qvd/client.conf.</translation>
    </message>
    <message>
      <source>There is no session to share devices with.</source>
      <translation>No hay ninguna sesión con la que compartir.</translation>
    </message>
    <message>
      <source>Start one from the QVD client, make one with: qvd-usb pair HOST, or give its description with --session -.</source>
      <translation>Inicia una desde el cliente QVD, créala con: qvd-usb pair HOST, o da su descripción con --session -.</translation>
    </message>
    <message>
      <source>A session exists already: {name}.</source>
      <translation>Ya existe una sesión: {name}.</translation>
    </message>
    <message>
      <source>End that one first; see what it does with: qvd-usb status</source>
      <translation>Termina antes esa; mira qué hace con: qvd-usb status</translation>
    </message>
    <message>
      <source>The kernel's description of {busid} cannot be read: {reason}.</source>
      <translation>La descripción que da el núcleo de {busid} no se puede leer: {reason}.</translation>
    </message>
    <message>
      <source>Unplug the device and plug it in again.</source>
      <translation>Desenchufa el dispositivo y vuelve a enchufarlo.</translation>
    </message>
    <message>
      <source>The helper ended before it was done: {reason}.</source>
      <translation>El asistente ha terminado antes de acabar: {reason}.</translation>
    </message>
    <message>
      <source>Try again; if it stays, look at the system log.</source>
      <translation>Vuelve a intentarlo; si sigue igual, mira el registro del sistema.</translation>
    </message>
    <message>
      <source>The helper's file {path} cannot be trusted.</source>
      <translation>El archivo {path} del asistente no es de fiar.</translation>
    </message>
    <message>
      <source>It must belong to root, be writable by root only, and be no link.</source>
      <translation>Debe ser de root, que solo root pueda escribir en él, y no ser un enlace.</translation>
    </message>
    <message>
      <source>{busid} could not be given back to a local driver (it is on: {driver}).</source>
      <translation>{busid} no se ha podido devolver a un controlador local (está en: {driver}).</translation>
    </message>
    <message>
      <source>Unplug the device and plug it in again, or as root run the helper with: recover</source>
      <translation>Desenchufa el dispositivo y vuelve a enchufarlo, o como root ejecuta el asistente con: recover</translation>
    </message>
    <message>
      <source>The helper did not answer within {seconds} s.</source>
      <translation>El asistente no ha respondido en {seconds} s.</translation>
    </message>
    <message>
      <source>Every device is shared, because client.usb.share_all is 1.</source>
      <translation>Se comparten todos los dispositivos, porque client.usb.share_all es 1.</translation>
    </message>
    <message>
      <source>Set client.usb.share_all=0 in ~/.qvd/client.conf to choose devices one by one.</source>
      <translation>Pon client.usb.share_all=0 en ~/.qvd/client.conf para elegirlos uno a uno.</translation>
    </message>
    <message>
      <source>The session at {address} cannot be reached: {reason}.</source>
      <translation>No se llega a la sesión en {address}: {reason}.</translation>
    </message>
    <message>
      <source>Check that the desktop is running and the address is right.</source>
      <translation>Comprueba que el escritorio está en marcha y que la dirección es correcta.</translation>
    </message>
    <message>
      <source>The session refused its key.</source>
      <translation>La sesión ha rechazado su clave.</translation>
    </message>
    <message>
      <source>Reconnect the session: the key changes with each one.</source>
      <translation>Reconecta la sesión: la clave cambia con cada una.</translation>
    </message>
    <message>
      <source>The session needs a key and none was given.</source>
      <translation>La sesión necesita una clave y no se ha dado ninguna.</translation>
    </message>
    <message>
      <source>Reconnect the session from the QVD client; on the image, check internal.vma.slave.config.</source>
      <translation>Reconecta la sesión desde el cliente QVD; en la imagen, mira internal.vma.slave.config.</translation>
    </message>
    <message>
      <source>Others than root and its owner may read or change the session's key, so it is not used.</source>
      <translation>Otros que root y su dueño pueden leer o cambiar la clave de la sesión; por eso no se usa.</translation>
    </message>
    <message>
      <source>In the image: write a new key into the file of internal.vma.slave.config, root's own and mode 600.</source>
      <translation>En la imagen: escribe una clave nueva en el archivo de internal.vma.slave.config, propiedad de root y con modo 600.</translation>
    </message>
    <message>
      <source>The other end of the slave channel does not speak our protocol: {reason}.</source>
      <translation>El otro extremo del canal no habla nuestro protocolo: {reason}.</translation>
    </message>
    <message>
      <source>Check that the address is the session's slave channel and that its image is up to date.</source>
      <translation>Comprueba que la dirección es la del canal de la sesión y que su imagen está al día.</translation>
    </message>
    <message>
      <source>The other end of the slave channel said nothing for {seconds} s.</source>
      <translation>El otro extremo del canal no ha dicho nada en {seconds} s.</translation>
    </message>
    <message>
      <source>Check the network, then try again.</source>
      <translation>Comprueba la red y vuelve a intentarlo.</translation>
    </message>
    <message>
      <source>The session takes no more devices at the moment.</source>
      <translation>La sesión no acepta más dispositivos por ahora.</translation>
    </message>
    <message>
      <source>Stop sharing another device first, or try again in a moment.</source>
      <translation>Deja antes de compartir otro, o vuelve a intentarlo dentro de un momento.</translation>
    </message>
    <message>
      <source>The session at {address} is not encrypted and not on this computer.</source>
      <translation>La sesión en {address} no está cifrada ni está en este equipo.</translation>
    </message>
    <message>
      <source>Use an encrypted session, or accept the risk with client.usb.allow_plaintext=1.</source>
      <translation>Usa una sesión cifrada, o acepta el riesgo con client.usb.allow_plaintext=1.</translation>
    </message>
    <message>
      <source>The other end closed the connection.</source>
      <translation>El otro extremo ha cerrado la conexión.</translation>
    </message>
    <message>
      <source>Try again; if it stays, look at the other end's log.</source>
      <translation>Vuelve a intentarlo; si sigue igual, mira el registro del otro extremo.</translation>
    </message>
    <message>
      <source>The session '{name}' asks for TLS, and says nothing to recognise its host by.</source>
      <translation>La sesión '{name}' pide TLS y no dice cómo reconocer a su servidor.</translation>
    </message>
    <message>
      <source>Pair this computer with the host: qvd-usb pair HOST</source>
      <translation>Empareja este equipo con el servidor: qvd-usb pair HOST</translation>
    </message>
    <message>
      <source>The host at {address} is not the one that this computer was paired with.</source>
      <translation>El servidor en {address} no es el que se emparejó con este equipo.</translation>
    </message>
    <message>
      <source>Somebody may be in between. If the host was set up anew: qvd-usb forget the session, then qvd-usb pair HOST</source>
      <translation>Puede haber alguien en medio. Si el servidor se instaló de nuevo: olvida la sesión con qvd-usb forget y después qvd-usb pair HOST</translation>
    </message>
    <message>
      <source>The host does not know this computer: it was not paired with it, or is not any more.</source>
      <translation>El servidor no conoce este equipo: no se emparejó con él, o ya no lo está.</translation>
    </message>
    <message>
      <source>Pair them again: on the host qvd-usb-agent pair CONTAINER, here qvd-usb pair HOST</source>
      <translation>Emparéjalos de nuevo: en el servidor qvd-usb-agent pair CONTAINER, aquí qvd-usb pair HOST</translation>
    </message>
    <message>
      <source>No encrypted connection to {address} came about: {reason}.</source>
      <translation>No se estableció una conexión cifrada con {address}: {reason}.</translation>
    </message>
    <message>
      <source>Check that the host still knows this computer (there: qvd-usb-agent clients), or pair anew: qvd-usb pair HOST</source>
      <translation>Comprueba que el servidor aún conoce este equipo (allí: qvd-usb-agent clients), o empareja de nuevo: qvd-usb pair HOST</translation>
    </message>
    <message>
      <source>Container '{container}' has no USB: vm.lxc.use_vhci_hubs was not 1 on this server when it started.</source>
      <translation>El contenedor '{container}' no tiene USB: vm.lxc.use_vhci_hubs no era 1 en este servidor cuando se inició.</translation>
    </message>
    <message>
      <source>As root: qvd-usb-agent config set key=vm.lxc.use_vhci_hubs,value=1; then start the container again.</source>
      <translation>Como root: qvd-usb-agent config set key=vm.lxc.use_vhci_hubs,value=1; después inicia de nuevo el contenedor.</translation>
    </message>
    <message>
      <source>No virtual hub is free for container '{container}'; it has no USB.</source>
      <translation>No queda ningún concentrador virtual para el contenedor '{container}'; no tiene USB.</translation>
    </message>
    <message>
      <source>Unable to find an unused USB-IP port on {hub}.</source>
      <translation>No hay puertos USB-IP libres en {hub}.</translation>
    </message>
    <message>
      <source>Stop sharing another device in this session first.</source>
      <translation>Deja antes de compartir otro dispositivo de esta sesión.</translation>
    </message>
    <message>
      <source>{hub} still has a device attached and is not lent again.</source>
      <translation>{hub} tiene todavía un dispositivo y no se vuelve a prestar.</translation>
    </message>
    <message>
      <source>The kernel did not attach the device to {hub}: {reason}.</source>
      <translation>El núcleo no ha conectado el dispositivo a {hub}: {reason}.</translation>
    </message>
    <message>
      <source>Try again; the kernel log on the server tells more.</source>
      <translation>Vuelve a intentarlo; el registro del núcleo del servidor dice más.</translation>
    </message>
    <message>
      <source>The server's policy refused the device: {rule}.</source>
      <translation>La política del servidor ha rechazado el dispositivo: {rule}.</translation>
    </message>
    <message>
      <source>Ask the administrator; the rule that decided is in the agent's log.</source>
      <translation>Pregunta al administrador; la regla que decidió está en el registro del agente.</translation>
    </message>
    <message>
      <source>The device was attached but did not answer within {seconds} s.</source>
      <translation>El dispositivo se conectó pero no ha respondido en {seconds} s.</translation>
    </message>
    <message>
      <source>Unplug it, plug it in and share it again.</source>
      <translation>Desenchúfalo, enchúfalo y compártelo de nuevo.</translation>
    </message>
    <message>
      <source>The right to {device} for container '{container}' could not be set: {reason}.</source>
      <translation>No se ha podido dar el permiso para {device} al contenedor '{container}': {reason}.</translation>
    </message>
    <message>
      <source>Nothing was authorised. Run: qvd-usb-agent check</source>
      <translation>No se ha autorizado nada. Ejecuta: qvd-usb-agent check</translation>
    </message>
    <message>
      <source>The server took the device back: it got its number in the moment in which another container lost that number, and could have been open there.</source>
      <translation>El servidor ha devuelto el dispositivo: recibió su número en el momento en que otro contenedor lo perdía, y podría haber estado abierto allí.</translation>
    </message>
    <message>
      <source>It is tried again by itself; else share it again.</source>
      <translation>Se vuelve a intentar solo; si no, compártelo de nuevo.</translation>
    </message>
    <message>
      <source>The agent qvd-usb-agent does not answer: {reason}.</source>
      <translation>El agente qvd-usb-agent no responde: {reason}.</translation>
    </message>
    <message>
      <source>This container has no way to the USB agent: {reason}.</source>
      <translation>Este contenedor no tiene camino al agente USB: {reason}.</translation>
    </message>
    <message>
      <source>On the server: qvd-usb-agent lxc-config NAME, then restart the container.</source>
      <translation>En el servidor: qvd-usb-agent lxc-config NAME, y reinicia el contenedor.</translation>
    </message>
    <message>
      <source>A message between container and agent cannot be used: {reason}.</source>
      <translation>Un mensaje entre contenedor y agente no se puede usar: {reason}.</translation>
    </message>
    <message>
      <source>Check that the image and the server have the same version of qvd-usbip.</source>
      <translation>Comprueba que la imagen y el servidor tienen la misma versión de qvd-usbip.</translation>
    </message>
    <message>
      <source>The node {node} was not made: {reason}.</source>
      <translation>No se ha creado el nodo {node}: {reason}.</translation>
    </message>
    <message>
      <source>The device is in the desktop, but its user may not open it.</source>
      <translation>El dispositivo está en el escritorio, pero su usuario no puede abrirlo.</translation>
    </message>
    <message>
      <source>In the image: see createdevice.acl.* in /etc/qvd/vma.conf, and whether the user is in that group.</source>
      <translation>En la imagen: mira createdevice.acl.* en /etc/qvd/vma.conf y si el usuario está en ese grupo.</translation>
    </message>
    <message>
      <source>The device is in the desktop; its host cannot see that the user may open it.</source>
      <translation>El dispositivo está en el escritorio; su servidor no puede ver si el usuario puede abrirlo.</translation>
    </message>
    <message>
      <source>Try whether it works there. On the host, qvd-usb-agent status says why it cannot be seen.</source>
      <translation>Prueba si funciona allí. En el servidor, qvd-usb-agent status dice por qué no se puede ver.</translation>
    </message>
    <message>
      <source>There is no group '{group}' in this image.</source>
      <translation>En esta imagen no hay grupo '{group}'.</translation>
    </message>
    <message>
      <source>Create it, or set createdevice.acl.group in /etc/qvd/vma.conf.</source>
      <translation>Créalo, o pon createdevice.acl.group en /etc/qvd/vma.conf.</translation>
    </message>
    <message>
      <source>The server refused the device: it has isochronous endpoints (sound, video), and this server's kernel is not safe with those of a stranger.</source>
      <translation>El servidor ha rechazado el dispositivo: tiene canales isócronos (sonido, vídeo), y el núcleo de este servidor no es seguro con los de un desconocido.</translation>
    </message>
    <message>
      <source>Update the server's kernel; or accept the risk there, as root: qvd-usb-agent config set vm.lxc.usb.isochronous allow, then restart the agent.</source>
      <translation>Actualiza el núcleo del servidor; o acepta allí el riesgo, como root: qvd-usb-agent config set vm.lxc.usb.isochronous allow, y reinicia el agente.</translation>
    </message>
    <message>
      <source>This should not have happened: {reason}.</source>
      <translation>Esto no debería haber pasado: {reason}.</translation>
    </message>
    <message>
      <source>Please report it with the log.</source>
      <translation>Por favor, comunícalo junto con el registro.</translation>
    </message>
    <message>
      <source>The picker cannot be started with the desktop: {reason}.</source>
      <translation>El selector no se puede iniciar con el escritorio: {reason}.</translation>
    </message>
    <message>
      <source>Install the package qvd-usbip-picker; from its sources, as root: make install ROLE=client.</source>
      <translation>Instala el paquete qvd-usbip-picker; desde sus fuentes, como root: make install ROLE=client.</translation>
    </message>
    <message>
      <source>A program still uses {volume}.</source>
      <translation>Un programa aún usa {volume}.</translation>
    </message>
    <message>
      <source>{program} still uses {volume}.</source>
      <translation>{program} aún usa {volume}.</translation>
    </message>
    <message>
      <source>{volume} could not be unmounted: {reason}.</source>
      <translation>{volume} no se ha podido desmontar: {reason}.</translation>
    </message>
    <message>
      <source>{places} is mounted here, and there is no udisks2 that could unmount it.</source>
      <translation>{places} está montado aquí, y no hay udisks2 que pueda desmontarlo.</translation>
    </message>
    <message>
      <source>Close it and try again.</source>
      <translation>Ciérralo y vuelve a intentarlo.</translation>
    </message>
    <message>
      <source>Eject it, then share it; as root: {command}</source>
      <translation>Expúlsalo y compártelo; como root: {command}</translation>
    </message>
    <message>
      <source>Unmount it, as root: {command}</source>
      <translation>Desmóntalo, como root: {command}</translation>
    </message>
  </context>
  <context>
    <name>Value</name>
    <message>
      <source>its address</source>
      <translation>su dirección</translation>
    </message>
    <message>
      <source>your desktop</source>
      <translation>tu escritorio</translation>
    </message>
    <message>
      <source>this device</source>
      <translation>este dispositivo</translation>
    </message>
    <message>
      <source>createdevice.acl.group</source>
      <translation>de createdevice.acl.group</translation>
    </message>
    <message>
      <source>its hub</source>
      <translation>su hub</translation>
    </message>
    <message>
      <source>of your desktop</source>
      <translation>de tu escritorio</translation>
    </message>
    <message>
      <source>for it</source>
      <translation>para él</translation>
    </message>
    <message>
      <source>the agent's folder</source>
      <translation>la carpeta del agente</translation>
    </message>
    <message>
      <source>the other end's log says why</source>
      <translation>el registro del otro extremo dice por qué</translation>
    </message>
    <message>
      <source>the other end's log names the rule</source>
      <translation>el registro del otro extremo nombra la regla</translation>
    </message>
    <message>
      <source>a few</source>
      <translation>unos</translation>
    </message>
    <message>
      <source>everything else</source>
      <translation>todo lo demás</translation>
    </message>
    <message>
      <source>storage</source>
      <translation>almacenamiento</translation>
    </message>
    <message>
      <source>keyboard</source>
      <translation>teclado</translation>
    </message>
    <message>
      <source>mouse</source>
      <translation>ratón</translation>
    </message>
    <message>
      <source>network</source>
      <translation>red</translation>
    </message>
    <message>
      <source>bluetooth</source>
      <translation>Bluetooth</translation>
    </message>
    <message>
      <source>{kind}: only after you agreed</source>
      <translation>{kind}: solo si estás de acuerdo</translation>
    </message>
    <message>
      <source>the administrator lets nobody lend a device of this kind ({kinds})</source>
      <translation>el administrador no deja que nadie preste un dispositivo de este tipo ({kinds})</translation>
    </message>
    <message>
      <source>this computer's administrator has not authorised it</source>
      <translation>el administrador de este equipo no lo ha autorizado</translation>
    </message>
    <message>
      <source>the kernel has not read yet what it is</source>
      <translation>el núcleo aún no ha leído qué es</translation>
    </message>
    <message>
      <source>{kinds} needs the user's consent</source>
      <translation>hace falta el consentimiento del usuario ({kinds})</translation>
    </message>
  </context>
</TS>
